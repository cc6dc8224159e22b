"""Payoffs of a mixture equal the double loop over pairs, in as few passes of the discriminators."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.helpers.mixtures import DCGAN, MLP, PROGAN, WGAN, alone, constant, mix, unequal
from tests.helpers.training import equal, weights
from zoo.models.mix.mixgan import MixGAN
from zoo.training.batch import Batch


def plain_double_loop(model: MixGAN, side: str, reals: list[Batch], fakes: list[Batch]) -> Any:
    """Compute the payoff over all pairs as in the paper, a graph for every pair, and one side's gradients of it."""
    total: Any = 0.0
    pair = alone(model.hparams["base"]).train()
    pair.images_seen = model.images_seen
    for i, generator in enumerate(model.generator.members):
        for j, discriminator in enumerate(model.discriminator.members):
            pair.generator, pair.discriminator = generator, discriminator
            loss = pair.discriminator_loss if side == "d" else pair.generator_loss
            weight = model.generator.probabilities()[i] * model.discriminator.probabilities()[j]
            total = total + weight * sum(loss(reals[i], fakes[i]).values())
    return total, gradients(model, side, total)


def gradients(model: MixGAN, side: str, total: Any) -> list[torch.Tensor]:
    """Compute the gradients by one side's networks and weights."""
    own = list((model.discriminator if side == "d" else model.generator).parameters())
    return [torch.zeros(()) if g is None else g for g in torch.autograd.grad(total, own, allow_unused=True)]


@pytest.mark.parametrize("side", ["d", "g"])
@pytest.mark.parametrize(
    "base", [MLP, {**MLP, "r1": 0.3}, DCGAN, WGAN, PROGAN], ids=["vanilla", "r1", "dcgan", "wgan-gp", "progan"]
)
def test_full_payoffs_equal_the_double_loop_over_pairs(
    side: str, base: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mix(base, generators=3, discriminators=2, payoff="full", entropy=0.0)
    unequal(model)
    model.double().train()
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)  # penalties go to float32 otherwise
    size = model.data_resolution(0)
    torch.manual_seed(1)
    real = Batch(torch.rand(8, 1, size, size, dtype=torch.float64) * 2 - 1)
    z = torch.randn(8, model.latent_dim, dtype=torch.float64)
    fake = model.fakes(z, None)
    assert len(fake) == 24
    fakes = [Batch(model.generate(member, z, None)) for member in model.generator.members]
    points = torch.rand(8, 1, 1, 1)  # of the penalties: one draw for all pairs, since their order is free
    monkeypatch.setattr("zoo.training.objectives.torch.rand", lambda *shape, **where: points.double())
    expected, theirs = plain_double_loop(model, side, [real] * 3, fakes)
    terms = (model.discriminator_loss if side == "d" else model.generator_loss)(real, fake)
    total = torch.stack(list(terms.values())).sum()
    torch.testing.assert_close(total, expected, atol=1e-10, rtol=1e-9)
    for a, b in zip(gradients(model, side, total), theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("side", ["d", "g"])
def test_shared_payoffs_equal_the_double_loop_over_the_split_batch(side: str) -> None:
    model = mix(MLP, generators=4, discriminators=3, entropy=0.0)
    if side == "g":  # for the discriminators rows are drawn by weight: equal as they stand only with equal weights
        unequal(model)
    torch.manual_seed(1)
    real, z = Batch(torch.rand(16, 1, 4, 4) * 2 - 1), torch.randn(16, 3)
    fake = model.fakes(z, None)
    assert len(fake) == 16
    fakes = [Batch(model.generate(m, rows, None)) for m, rows in zip(model.generator.members, z.chunk(4))]
    expected, theirs = plain_double_loop(model, side, real.chunk(4), fakes)
    terms = (model.discriminator_loss if side == "d" else model.generator_loss)(real, fake)
    total = torch.stack(list(terms.values())).sum()
    torch.testing.assert_close(total, expected, atol=1e-6, rtol=1e-6)
    for a, b in zip(gradients(model, side, total), theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_discriminators_pass_no_more_often_than_they_must() -> None:
    calls: list[int] = []
    for base, payoff, side, expected in [
        (MLP, "shared", "d", [16] * 2),  # real and generated images in one pass of each
        (MLP, "shared", "g", [8] * 2),
        (MLP, "full", "d", [8 + 32] * 2),
        (MLP, "full", "g", [32] * 2),
        (DCGAN, "shared", "d", [8, 8] * 2),
        (DCGAN, "shared", "g", [8] * 2),
        (DCGAN, "full", "d", [8, 8, 8, 8, 8] * 2),
    ]:
        model = mix(base, generators=4, discriminators=2, payoff=payoff)
        for member in model.discriminator.members:
            member.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
        calls.clear()
        real = Batch(torch.rand(8, 1, model.resolution, model.resolution))
        fake = model.fakes(model.sample_latent(8), None)
        (model.discriminator_loss if side == "d" else model.generator_loss)(real, fake)
        assert calls == expected, (base["class"], payoff, side)


def test_a_batch_scored_twice_in_one_loss_is_passed_twice() -> None:
    """Two draws of dropout must differ, though the images are the same."""
    from zoo.models.mix.passes import JoinedBatches, JoinedPasses

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5))
    parts = [Batch(torch.ones(4, 1, 8, 8)), Batch(torch.ones(4, 1, 8, 8))]
    passes = JoinedPasses(network, [JoinedBatches(parts)])
    once, twice = passes(parts[0].images), passes(parts[0].images)
    assert not torch.equal(once, twice)
    passes.begin()
    other = passes(parts[1].images)
    assert other.shape == (4, 64)
    stranger = passes(torch.zeros(3, 1, 8, 8))
    assert torch.equal(stranger, torch.zeros(3, 64))


def test_payoffs_of_every_pair_by_hand() -> None:
    model = constant(mix(MLP, generators=3, discriminators=2))
    with torch.no_grad():
        for j, member in enumerate(model.discriminator.members):
            for parameter in member.parameters():
                parameter.zero_()
            list(member.parameters())[-1].fill_(float(j))  # discriminator j says j to everything
    before = weights(model)
    payoffs = model.payoffs(Batch(torch.rand(6, 1, 4, 4)))
    softplus = torch.nn.functional.softplus
    each = torch.tensor([-softplus(torch.tensor(-float(j))) - softplus(torch.tensor(float(j))) for j in range(2)])
    torch.testing.assert_close(payoffs, each.expand(3, 2))
    assert equal(weights(model), before)
