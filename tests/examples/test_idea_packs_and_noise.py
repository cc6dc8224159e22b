"""What the losses of the gallery's ideas see: packs of images, and images with the noise of a diffusion."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import zoo
from tests.helpers.ideas import IDEAS, MeanPixel, flat, number, tiny
from tests.helpers.training import equal, train, weights


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


def test_the_diffusion_follows_the_discriminator() -> None:
    """Scripted scores of real images: r_d = 1 raises the strength, r_d = 0 lowers it, both by images over speed."""
    model = tiny("diffusion_gan.DiffusionGAN", num_classes=0, speed=400, noise=0.0)
    model.discriminator = MeanPixel()
    found = []
    for sure in (True, True, False):
        for _ in range(4):
            real = model.noised(flat(0.5, 0.5 if sure else -0.5), torch.zeros(2))
            model.discriminator_loss(real, model.noised(flat(0.0, 0.0), torch.zeros(2)))
            model.rounds += 1
            model.on_clock(0, 10)
        found.append(number(model.strength))
    assert found == pytest.approx([0.1, 0.2, 0.1])
