"""What the losses of the gallery's ideas see: packs of images, and images with the noise of a diffusion."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers.ideas import IDEAS, MeanPixel, flat, idea, number, tiny
from tests.helpers.training import equal, train, weights
from zoo.models.packed import Packed


def test_a_pack_of_one_is_the_model_itself(tmp_path: Path) -> None:
    for name, base in (("pacgan.PacDCGAN", zoo.DCGAN), ("pacgan.PacWGANGP", zoo.WGANGP)):
        torch.manual_seed(0)
        plain = base(**IDEAS[name])
        packed = tiny(name, together=1)
        for model in (plain, packed):
            train(model, 3, tmp_path)
        assert equal(weights(plain), weights(packed))


def test_a_pack_joins_neighbours_along_channels() -> None:
    model = tiny("pacgan.PacDCGAN", together=3, channels=2, augment=()).eval()
    images = torch.rand(7, 2, 16, 16)
    packs = model.shown(zoo.Batch(images))
    assert packs.images.shape == (2, 6, 16, 16)  # the seventh image fills no pack
    assert torch.equal(packs.images[1], torch.cat([images[3], images[4], images[5]]))
    scores = model.score(packs)
    single = model.score(zoo.Batch(images))
    torch.testing.assert_close(single[:6], scores.repeat_interleave(3))
    last = torch.cat([images[6], images[0], images[1]])[None]
    torch.testing.assert_close(single[6:], model.discriminator(last))
    with pytest.raises(ValueError, match=r"num_classes=3: the images of a pack have no class in common; set model.num"):
        tiny("pacgan.PacDCGAN", num_classes=3)


def test_a_diffusion_of_no_steps_changes_nothing() -> None:
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0).eval()
    images = torch.rand(3, 1, 16, 16)
    noised = model.noised(zoo.Batch(images), torch.zeros(3))
    assert torch.equal(noised.images[:, :1], images)
    assert not noised.images[:, 1:].any()
    torch.testing.assert_close(model.score(zoo.Batch(images)), model.score(noised))


def test_the_noise_after_t_steps_is_that_of_a_diffusion() -> None:
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0, noise=0.5)
    for strength, t in ((0.0, 10), (1.0, 1000), (1.0, 300)):
        model.strength.fill_(strength)
        last = int(model.steps())
        assert last == (1000 if strength else 10)
        variances = torch.linspace(1e-4, 2e-2, last, dtype=torch.float64)[:t]
        kept = number((1 - variances).prod())
        noised = model.noised(zoo.Batch(torch.ones(40, 1, 16, 16)), torch.full((40,), float(t))).images
        assert number(noised[:, 0].mean()) == pytest.approx(math.sqrt(kept), abs=0.02)
        assert number(noised[:, 0].std()) == pytest.approx(0.5 * math.sqrt(1 - kept), rel=0.05)
        torch.testing.assert_close(noised[:, 1], torch.full((40, 16, 16), t / 1000))


def test_the_steps_of_shown_images_are_half_none_and_else_more_often_late() -> None:
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0)
    t = 1000 * model.shown(zoo.Batch(torch.zeros(4000, 1, 16, 16))).images[:, 1, 0, 0]
    assert number((t == 0).float().mean()) == pytest.approx(0.5, abs=0.03)
    some = t[t > 0]
    assert 1 <= int(some.min().round()) <= int(some.max().round()) == 10
    assert number(some.mean()) == pytest.approx(7.15, abs=0.15)  # sum of t (2t - 1) / 100 for t up to 10


def test_no_penalty_of_a_diffusion_sees_t() -> None:
    """The critic is the sum of all it is given, so its squared gradient is the number of pixels; t is as many more."""
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0, r1=2.0)
    model.discriminator = Sum()
    real, fake = (model.shown(zoo.Batch(torch.rand(3, 1, 16, 16))) for _ in range(2))
    assert number(model.discriminator_loss(real, fake)["r1"]) == pytest.approx(256)


class Sum(torch.nn.Module):
    """Discriminator whose score of an image is the sum of all its numbers."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.sum((1, 2, 3))


def follow(model: Any, reduce: Any = lambda mean, reduce_op: mean, objective: str = "") -> list[float]:
    """Strengths of the diffusion after each four rounds of ten images, the last with a discriminator that is wrong."""
    model.discriminator = MeanPixel()
    model.trainer = SimpleNamespace(strategy=SimpleNamespace(reduce=reduce))
    found = []
    for sure in (True, True, False):
        for _ in range(4):
            real = model.noised(flat(0.5, 0.5 if sure else -0.5), torch.zeros(2))
            model.discriminator_loss(real, model.noised(flat(0.0, 0.0), torch.zeros(2)))
            model.rounds += 1
            model.on_clock(0, 10)
        found.append(number(model.strength))
    return found


@pytest.mark.parametrize("objective", ["non_saturating", "relativistic"])
def test_the_diffusion_follows_the_discriminator(objective: str) -> None:
    """Scripted scores of real images: r_d = 1 raises the strength, r_d = 0 lowers it, both by images over speed."""
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0, speed=400, noise=0.0, objective=objective)
    assert follow(model) == pytest.approx([0.1, 0.2, 0.1])


def test_the_diffusion_follows_the_mean_over_processes() -> None:
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0, speed=400, noise=0.0)
    elsewhere = torch.tensor(-9.0)
    assert follow(model, lambda own, reduce_op: {"mean": (own + elsewhere) / 2}[reduce_op]) == [0.0, 0.0, 0.0]


OF_PACKS = ("lsgan.LSGAN", "lecam.LeCamGAN", "unrolled.UnrolledGAN", "logan.LOGAN")
OF_SINGLE_IMAGES = (
    "sngan.SNGAN",
    "consistency.ConsistentGAN",
    "top_k.TopKGAN",
    "infogan.InfoGAN",
    "diffusion_gan.DiffusionGAN",
)


@pytest.mark.parametrize("name", OF_SINGLE_IMAGES)
def test_an_idea_that_judges_single_images_refuses_packs(name: str) -> None:
    with pytest.raises(ValueError, match=rf"packing=2: {idea(name).__name__} judges single images only; set packing=1"):
        tiny(name, packing=2, num_classes=0)


def test_every_idea_from_dcgan_without_classes_is_tried_with_packs() -> None:
    unconditional = {name for name in IDEAS if issubclass(idea(name), Packed)} - {"acgan.ACGAN", "pacgan.PacDCGAN"}
    assert unconditional == {*OF_PACKS, *OF_SINGLE_IMAGES}


@pytest.mark.parametrize("name", OF_PACKS)
def test_other_ideas_train_with_packs(name: str, tmp_path: Path) -> None:
    model = tiny(name, packing=2)
    train(model, 2, tmp_path)
    assert all(torch.isfinite(weight).all() for weight in weights(model).values())
    assert model.discriminator.body[0].in_channels == 2
