"""R3GAN compared with the paper and its authors' code: parameters, initialisation, schedules, gradients, resuming."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import nn
from torch.nn import functional

import zoo
from tests.helpers.training import equal, train, weights
from zoo.io.run_folder import checkpoints_in
from zoo.layers.convolution import Conv2d
from zoo.models.r3gan import Block, stage_widths
from zoo.training.penalties import scores_and_gradient_norms


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def tiny(**settings: Any) -> zoo.R3GAN:
    torch.manual_seed(0)
    plain: dict[str, Any] = {"resolution": 16, "channels": 1, "latent_dim": 5, "width": 8, "group_size": 8}
    return zoo.R3GAN(**{**plain, "blocks": 1, "decay_images": 1000, **settings})


def scrambled(model: zoo.R3GAN) -> zoo.R3GAN:
    """Draw all weights anew, so that no block is the identity."""
    with torch.no_grad():
        for parameter in (*model.generator.parameters(), *model.discriminator.parameters()):
            parameter.copy_(torch.randn(parameter.shape) / max(parameter[0].numel(), 4) ** 0.5)
    return model


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        ({}, 20_732_160, 20_683_776),  # CIFAR10, without classes
        ({"num_classes": 10}, 20_781_952, 21_280_512),  # CIFAR10
        ({"resolution": 64}, 22_429_824, 22_381_440),  # FFHQ-64
        ({"resolution": 256}, 23_057_952, 23_009_568),  # FFHQ-256
        ({"width": 1536, "group_size": 32, "num_classes": 1000}, 82_914_304, 86_548_992),  # ImageNet-32
        (
            {"resolution": 64, "widths": (1536,) * 5, "group_size": 32, "num_classes": 1000},  # ImageNet-64
            103_570_432,
            107_205_120,
        ),
    ],
)
def test_parameters_are_those_of_the_authors_networks(
    settings: dict[str, Any], generator: int, discriminator: int
) -> None:
    """Counted in networks that the authors' code built from its presets (brownvc/R3GAN, commit 19a7ddf)."""
    with torch.device("meta"):
        model = zoo.R3GAN(**settings)
    assert (count(model.generator), count(model.discriminator)) == (generator, discriminator)


def test_widths_are_full_up_to_32_px_and_halve_from_there() -> None:
    assert stage_widths(256, 768, (), 16) == (768, 768, 768, 768, 384, 192, 96)
    assert stage_widths(8, 24, (), 16) == (24, 24)
    assert stage_widths(8, 768, (16, 8), 16) == (16, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 48}, "resolution of an R3GAN is a power of two from 8 to 1024; got 48"),
        ({"widths": (8, 8)}, r"widths of an R3GAN of 16 px has 3 numbers, .* from 4 to 16; got 2: \(8, 8\)"),
        ({"width": 12, "group_size": 16}, "divides twice the channels at each size; got 16, and 12 channels at 4x4"),
        ({"blocks": 0}, "blocks must be at least 1; got 0"),
        ({"decay_images": 0}, "decay_images must be at least 1; got 0"),
        ({"beta2_final": 1.0}, r"beta2_final must lie in \[0, 1\); got 1.0"),
        ({"augment_strength": 1.5}, "augment_strength is a probability, from 0 to 1; got 1.5"),
        ({"penalty_final": -1.0}, "penalty_final must be at least 0; got -1.0"),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**settings)


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_it_works_at_every_resolution(resolution: int, num_classes: int) -> None:
    model = tiny(resolution=resolution, num_classes=num_classes, channels=2)
    images = model.sample(2, seed=0)
    assert images.shape == (2, 2, resolution, resolution)
    labels = torch.tensor([0, 2]) if num_classes else None
    assert model.score(zoo.Batch(images, labels)).shape == (2,)


def test_a_block_starts_as_the_identity_and_fix_up_has_the_deviations_of_its_depth() -> None:
    torch.manual_seed(0)
    block, x = Block(64, 16, depth=16), torch.randn(2, 64, 4, 4)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    gain = math.sqrt(2 / 1.04) / 2  # He's for slope 0.2, times 16^(-1/4)
    assert block.expand.weight.std().item() == pytest.approx(gain / 8, rel=0.05)
    assert block.grouped.weight.std().item() == pytest.approx(gain / 12, rel=0.05)  # fan in: 16 channels * 9
    assert block.contract.bias is None
    block.contract.weight.data.normal_()
    h = functional.leaky_relu(functional.conv2d(x, block.expand.weight, block.expand.bias), 0.2)
    h = functional.leaky_relu(functional.conv2d(h, block.grouped.weight, block.grouped.bias, padding=1, groups=8), 0.2)
    torch.testing.assert_close(block(x), x + functional.conv2d(h, block.contract.weight))


def test_fresh_networks_are_the_linear_maps_around_their_blocks() -> None:
    """With all blocks the identity: basis times modulation, doubled bilinearly; halved, weighed, read out."""
    model = tiny(num_classes=3, widths=(8, 8, 4))
    g, d = model.generator, model.discriminator
    z, labels = torch.randn(2, 5), torch.tensor([0, 2])
    x = g.basis * (torch.cat([z, g.embed.weight[labels]], 1) @ g.modulate.weight.T)[:, :, None, None]
    x = doubled(doubled(x))  # a 1x1 convolution and doubling commute
    x = torch.einsum("ij,jk,bkhw->bihw", g.to_image.weight[:, :, 0, 0], g.stages[1][0].weight[:, :, 0, 0], x)
    torch.testing.assert_close(g(z, labels), x)
    images = torch.randn(2, 1, 16, 16)
    y = halved(functional.conv2d(images, d.from_image.weight))
    y = halved(functional.conv2d(y, d.stages[0][2].weight))
    features = (y * d.basis).sum((2, 3)) @ d.readout.weight.T
    torch.testing.assert_close(d(images, labels), (features * d.embed.weight[labels]).sum(1))


def doubled(x: torch.Tensor) -> torch.Tensor:
    """Double with torch's bilinear interpolation, which repeats the border: of maps with a border of zeros."""
    return functional.interpolate(functional.pad(x, (1,) * 4), scale_factor=2, mode="bilinear")[:, :, 2:-2, 2:-2]


def halved(x: torch.Tensor) -> torch.Tensor:
    """Average along each axis with the weights 1, 3, 3, 1."""
    windows = functional.pad(x, (1,) * 4).unfold(2, 4, 2).unfold(3, 4, 2)
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.einsum("bchwij,i,j->bchw", windows, weights, weights)


# --- schedules -------------------------------------------------------------------------------------------------------


def test_schedules_at_the_start_half_way_and_at_the_end_are_the_authors() -> None:
    """Preset CIFAR10: gamma 0.05 to 0.005, rate 2e-4 to 5e-5, beta2 0.9 to 0.99, half-life 0 to 5 million images."""
    model = tiny(decay_images=20_000_000)
    expected = {
        0: (0.05, 2e-4, 0.9, 0),
        10_000_000: (0.0275, 1.25e-4, 0.945, 2_500_000),
        20_000_000: (0.005, 5e-5, 0.99, 5_000_000),
        60_000_000: (0.005, 5e-5, 0.99, 5_000_000),
    }
    for progress, (gamma, rate, beta2, halflife) in expected.items():
        model.before_round(progress)
        assert model.objective is not None
        assert (model.objective.r1, model.objective.r2) == pytest.approx((gamma, gamma))
        assert model.generator_lr * model.schedule.at(progress) == pytest.approx(rate)
        assert model.betas == pytest.approx((0.0, beta2))
        assert model.moving_average.halflife_at(progress) == pytest.approx(halflife)
        assert model.augment_strength == pytest.approx(0.55 * halflife / 5_000_000)


def test_optimizers_step_with_the_betas_of_the_round(tmp_path: Path) -> None:
    class Betas(Callback):
        seen: list[tuple[float, float]] = []  # noqa: RUF012

        def on_train_batch_end(self, trainer: Any, model: Any, *_: Any) -> None:
            self.seen.append(tuple(o.param_groups[0]["betas"] for o in trainer.optimizers))

    model = tiny(decay_images=16, betas=(0.0, 0.5), beta2_final=0.9)
    train(model, 4, tmp_path, callbacks=[Betas()])  # batches of 8
    assert [pair[0] for pair in Betas.seen] == [pair[1] for pair in Betas.seen]
    assert [second for (_, second), _ in Betas.seen] == pytest.approx([0.5, 0.7, 0.9, 0.9])
    assert model.moving_average.rampup == 0


def test_penalties_can_be_left_out_and_another_loss_taken() -> None:
    real, fake = (zoo.Batch(torch.randn(4, 1, 16, 16)) for _ in range(2))
    assert set(tiny().discriminator_loss(real, fake)) == {"adversarial", "r1", "r2"}
    assert set(tiny(r1=0.0, r2=0.0).discriminator_loss(real, fake)) == {"adversarial"}
    assert set(tiny(r2=0.0, objective="hinge").discriminator_loss(real, fake)) == {"adversarial", "r1"}


# --- one graph for scores and penalties ------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [0, 3])
@pytest.mark.parametrize("penalties", [{"r1": 1.0, "r2": 2.0}, {"r1": 1.0, "r2": 0.0}])
def test_scores_from_gradients_have_the_values_and_derivatives_of_scores(
    num_classes: int, penalties: dict[str, float]
) -> None:
    model = scrambled(tiny(num_classes=num_classes, **penalties))
    labels = torch.arange(4) % 3 if num_classes else None
    real, fake = (zoo.Batch(torch.randn(4, 1, 16, 16), labels) for _ in range(2))
    assert model.objective is not None
    assert model.objective.affine
    found = []
    for model.objective.affine in (True, False):
        terms = model.discriminator_loss(real, fake)
        total = torch.stack(list(terms.values())).sum()
        # Parameters that take no part have no gradient, or zeros.
        gradients = torch.autograd.grad(total, list(model.discriminator.parameters()), materialize_grads=True)
        found.append((terms, gradients))
    (terms, gradients), (terms_apart, gradients_apart) = found
    for name, term in terms_apart.items():
        torch.testing.assert_close(terms[name], term, rtol=1e-4, atol=1e-6)
    for one, other in zip(gradients, gradients_apart):
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-6  # those by biases of both batches cancel


def test_scores_from_gradients_are_left_with_the_images_as_others_are() -> None:
    model = scrambled(tiny())
    assert model.objective is not None
    assert model.objective.affine
    real, fake = (zoo.Batch(torch.randn(3, 1, 16, 16)) for _ in range(2))
    model.discriminator_loss(real, fake)
    for batch in (real, fake):
        assert batch.scores is not None
        torch.testing.assert_close(batch.scores, model.score(batch), rtol=1e-4, atol=1e-4)
        assert batch.scores.requires_grad


def test_a_variant_that_scores_by_itself_is_not_taken_for_affine() -> None:
    class Bent(zoo.R3GAN):
        def score(self, batch: zoo.Batch) -> torch.Tensor:
            return super().score(batch).square()

    model = Bent(resolution=8, width=8)
    assert model.objective is not None
    assert not model.objective.affine
    real, fake = (zoo.Batch(torch.randn(2, 3, 8, 8)) for _ in range(2))
    values, _ = scores_and_gradient_norms(model.scores, (real, fake), (True, True), affine=model.objective.affine)
    torch.testing.assert_close(values[0], model.score(real))


# --- training --------------------------------------------------------------------------------------------------------


def test_the_discriminator_learns_to_rank_real_above_generated(tmp_path: Path) -> None:
    model = tiny(width=16, generator_lr=0.0, discriminator_lr=3e-3, r1=0.01, r2=0.01)
    train(model, 60, tmp_path, log_every_n_steps=10)
    assert model.last_terms["d/adversarial"] < 0.3  # log 2 = 0.69 at the start


@pytest.mark.parametrize("settings", [{}, {"penalty_precision": "mixed"}, {"num_classes": 3}])
def test_bf16_mixed_trains(settings: dict[str, Any], tmp_path: Path) -> None:
    model = tiny(generator_lr=1e-3, discriminator_lr=1e-3, **settings)
    train(model, 30, tmp_path, precision="bf16-mixed", log_every_n_steps=5)
    model.assert_finite()
    assert model.sample(4, seed=0).isfinite().all()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_resumed_run_ends_with_the_same_bits(precision: str, mixed: bool, tmp_path: Path) -> None:
    """All schedules move within the run, and none of them is stored."""
    tiny_model: dict[str, Any] = {"width": 8, "group_size": 8, "average_halflife": 50}
    model = {"class": "MixGAN", "components": 2, "base": tiny_model} if mixed else tiny_model
    settings: dict[str, Any] = {
        "images": 32 * 8,
        "model": model,
        "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None, "SaveEvery": {"every": 160}},
        "trainer": {"accelerator": "cpu", "precision": precision},
    }
    whole = zoo.fit("r3gan_digits", out=tmp_path / "whole", **settings)
    half = shutil.copytree(whole.folder, tmp_path / "half")
    latest, earlier = checkpoints_in(half)
    latest.unlink()
    assert int(earlier.stem) == 160
    again = zoo.fit(resume=half)
    assert again.model.images_seen == whole.model.images_seen == 32 * 8
    assert equal(weights(again.model), weights(whole.model))
    if not mixed:
        assert again.model.betas == whole.model.betas


def test_another_or_a_compiled_discriminator_is_not_taken_for_affine() -> None:
    model = tiny()
    model.discriminator = nn.Sequential(model.discriminator)
    model.before_round(0)
    assert not model.scores_are_affine
    assert model.objective is not None
    assert not model.objective.affine
    compiled = tiny()
    assert compiled.scores_are_affine
    compiled.discriminator.compile()
    assert not compiled.scores_are_affine


@pytest.mark.parametrize("layer", [nn.Conv2d(1, 8, 1), nn.Sequential(Conv2d(1, 8, 1), nn.Tanh())])
def test_penalties_of_a_changed_discriminator_use_its_scores(layer: nn.Module) -> None:
    """A layer of another class may have a bias that the joint graph of scores and penalties does not know of."""
    torch.manual_seed(0)
    model = zoo.R3GAN(resolution=8, channels=1, latent_dim=4, width=8, blocks=1, group_size=8)
    assert model.scores_are_affine
    model.discriminator.from_image = layer
    model.before_round(0)
    real, fake = (zoo.Batch(torch.randn(4, 1, 8, 8)) for _ in range(2))
    assert model.objective is not None
    model.objective.discriminator(model.scores, real, fake)
    assert real.scores is not None
    torch.testing.assert_close(real.scores, model.score(zoo.Batch(real.images)))
