"""The losses of ProGAN: penalties at the scale of a stage, drift, other objectives, classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, softplus

import zoo
from tests.helpers.growing_progan import tiny
from tests.helpers.training import train
from zoo.models.progan_growth import Stage


class Linear(nn.Module):
    """Critic whose gradient is the same everywhere."""

    def __init__(self, resolution: int, offset: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.weight, self.offset = nn.Parameter(torch.randn(2, resolution, resolution)), offset

    def forward(self, images: Tensor, stage: Stage) -> Tensor:
        assert images.shape[-1] == stage.resolution
        return (images * self.weight).sum((1, 2, 3))[:, None] + self.offset


@pytest.mark.parametrize(("seen", "resolution", "factor"), [(0, 4, 4), (50, 8, 2), (64, 8, 2), (1000, 16, 1)])
@pytest.mark.parametrize("target", [1.0, 750.0])
def test_the_penalty_of_a_linear_critic_in_closed_form(seen: int, resolution: int, factor: int, target: float) -> None:
    model = tiny(penalty=10.0, target_norm=target)
    model.images_seen = seen
    critic = Linear(resolution)
    model.discriminator = critic
    real, fake = (zoo.Batch(torch.randn(5, 2, resolution, resolution)) for _ in range(2))
    norm = critic.weight.square().sum().sqrt().item()
    penalty = model.discriminator_loss(real, fake)["gradient_penalty"].item()
    assert penalty == pytest.approx(10 / target**2 * (norm / factor - target) ** 2, rel=1e-4)


@pytest.mark.parametrize("seen", [0, 50, 64, 120, 1000])
def test_the_penalty_is_the_one_on_images_repeated_to_full_size(seen: int) -> None:
    """Compute it as the authors do: the norm over all pixels of full-size images, which the network averages."""
    model = tiny()
    model.images_seen = seen
    size = model.stage.resolution
    real, fake = (torch.randn(4, 2, size, size) for _ in range(2))
    torch.manual_seed(3)
    penalty = model.discriminator_loss(zoo.Batch(real), zoo.Batch(fake))["gradient_penalty"]
    torch.manual_seed(3)
    where = torch.rand(4, 1, 1, 1)
    between = interpolate(real + where * (fake - real), size=16, mode="nearest").requires_grad_()
    (gradient,) = torch.autograd.grad(model.score(zoo.Batch(between)).sum(), between)
    assert gradient.shape == (4, 2, 16, 16)
    norms = gradient.flatten(1).norm(dim=1)
    torch.testing.assert_close(penalty, 10 * (norms - 1).square().mean())


def test_drift_is_of_real_scores_only_and_the_rest_is_wassersteins() -> None:
    model = tiny(drift=0.5)
    critic = Linear(4, offset=3.0)
    model.discriminator = critic
    real, fake = zoo.Batch(torch.randn(6, 2, 4, 4)), zoo.Batch(torch.randn(6, 2, 4, 4))
    r, f = model.score(real), model.score(fake)
    terms = model.discriminator_loss(real, fake)
    assert set(terms) == {"adversarial", "gradient_penalty", "drift"}
    torch.testing.assert_close(terms["drift"], 0.5 * r.square().mean())
    torch.testing.assert_close(terms["adversarial"], f.mean() - r.mean())
    more = model.discriminator_loss(real, zoo.Batch(100 * fake.images))
    assert torch.equal(more["drift"], terms["drift"])
    assert set(model.generator_loss(real, fake)) == {"adversarial"}
    torch.testing.assert_close(model.generator_loss(real, fake)["adversarial"], -f.mean())


@pytest.mark.parametrize(("seen", "resolution", "factor"), [(0, 4, 4), (50, 8, 2), (64, 8, 2), (1000, 16, 1)])
def test_other_objectives_have_their_values_and_r1_at_the_stages_scale(seen: int, resolution: int, factor: int) -> None:
    model = tiny(objective="non_saturating", r1=3.0)
    model.images_seen = seen
    critic = Linear(resolution, offset=0.5)
    model.discriminator = critic
    real, fake = (zoo.Batch(torch.randn(5, 2, resolution, resolution)) for _ in range(2))
    r, f = model.score(real), model.score(fake)
    terms = model.discriminator_loss(real, fake)
    assert set(terms) == {"adversarial", "r1"}
    torch.testing.assert_close(terms["adversarial"], softplus(-r).mean() + softplus(f).mean())
    torch.testing.assert_close(terms["r1"], 1.5 * critic.weight.square().sum() / factor**2)
    torch.testing.assert_close(model.generator_loss(real, fake)["adversarial"], softplus(-f).mean())
    assert set(tiny(objective="hinge").discriminator_loss(real, fake)) == {"adversarial"}


def test_both_penalties_are_at_the_stages_scale_also_beside_that_of_wasserstein() -> None:
    model = tiny(r1=3.0, r2=5.0, penalty=0.0)
    model.images_seen = 64
    critic = Linear(8, offset=0.5)
    model.discriminator = critic
    terms = model.discriminator_loss(*(zoo.Batch(torch.randn(5, 2, 8, 8)) for _ in range(2)))
    assert set(terms) == {"adversarial", "r1", "r2", "gradient_penalty", "drift"}
    torch.testing.assert_close(terms["r1"], 1.5 * critic.weight.square().sum() / 2**2)
    torch.testing.assert_close(terms["r2"], 2.5 * critic.weight.square().sum() / 2**2)


def test_r1_every_is_the_earlier_name_of_penalty_every() -> None:
    assert tiny(objective="hinge", r1=3.0, r1_every=4).penalty_every == 4
    assert tiny(objective="hinge", r1=3.0, r1_every=4, penalty_every=4).penalty_every == 4
    assert tiny(objective="hinge", r1=3.0, r1_every=4, penalty_every=1).penalty_every == 4  # as a recipe in full has it
    with pytest.raises(ValueError, match="r1_every is the earlier name of penalty_every: give one of them; got 4, 2"):
        tiny(objective="hinge", r1=3.0, r1_every=4, penalty_every=2)
    with pytest.raises(ValueError, match="r1_every must be at least 1; got 0"):
        tiny(objective="hinge", r1=3.0, r1_every=0)


def test_objectives_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one of wasserstein, non_saturating, .*; got 'wgan'"):
        tiny(objective="wgan")


def test_both_sides_classify_when_conditional() -> None:
    model = tiny(num_classes=3)
    real = zoo.Batch(torch.randn(4, 2, 4, 4), torch.tensor([0, 1, 2, 0]))
    fake = zoo.Batch(torch.randn(4, 2, 4, 4), torch.tensor([0, 1, 2, 0]))

    def entropy(batch: zoo.Batch) -> Tensor:
        assert batch.labels is not None
        return -model.logits(batch)[:, 1:].log_softmax(1)[torch.arange(4), batch.labels].mean()

    torch.testing.assert_close(model.discriminator_loss(real, fake)["classification"], entropy(real) + entropy(fake))
    torch.testing.assert_close(model.generator_loss(real, fake)["classification"], entropy(fake))


def test_the_drift_reaches_the_readout_in_bf16_too() -> None:
    """The gradient of the drift, 0.002 r / B, would be lost beside the adversarial 1 / B in a sum of eight bits."""
    model, real = tiny(), zoo.Batch(torch.rand(8, 2, 4, 4))
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.discriminator_loss(real, zoo.Batch(torch.rand(8, 2, 4, 4)))
        scores = model.score(real)
    torch.stack(list(terms.values())).sum().backward()
    gradient = model.discriminator.readout.bias.grad
    assert scores.abs().max() < 1
    assert gradient.item() == pytest.approx(0.002 * scores.mean().item(), rel=1e-3, abs=1e-7)


class Recorded(zoo.ProGAN):
    """Model that records the arguments of its networks."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: list[tuple[Tensor, Tensor | None]] = []
        self.real: list[Tensor | None] = []

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        self.asked.append((z, labels))
        return super().generate(network, z, labels)

    def prepare(self, real: zoo.Batch) -> zoo.Batch:
        self.real.append(real.labels)
        return super().prepare(real)


def test_the_discriminators_fakes_have_the_labels_of_its_real_images(tmp_path: Path) -> None:
    model = Recorded(resolution=8, channels=1, latent_dim=4, width=4, width_base=8, num_classes=5)
    train(model, 6, tmp_path)
    discriminators, generators = model.asked[0::2], model.asked[1::2]
    assert len(discriminators) == len(generators) == len(model.real) == 6
    same = 0
    for real, (z, labels), (new, drawn) in zip(model.real, discriminators, generators):
        assert real is not None
        assert labels is not None
        assert drawn is not None
        assert torch.equal(labels, real)
        same += torch.equal(drawn, real)
        assert not torch.equal(z, new)  # the generator moves on latents of its own
    assert same == 0
