"""Packs of images (PacGAN): what a pack is, its losses and penalties, scores of single images, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.helpers.training import Noise, equal, tiny_dcgan, tiny_mlp, train, weights
from zoo.errors import DataError
from zoo.training.batch import Batch
from zoo.training.packing import packs, with_followers

IMAGES = torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(0)).contiguous(
    memory_format=torch.channels_last
)


def test_single_images_are_joined_with_those_of_their_own_batch_only() -> None:
    """The real images' scores must not depend on the generated ones that are scored in the same call."""
    alone = {"class": "VanillaGAN", "resolution": 4, "width": 8, "latent_dim": 3, "dropout": 0.0, "packing": 2}
    for model in (tiny_mlp(packing=2), zoo.MixGAN(alone, components=2)):
        batches = [Batch(torch.rand(3, 1, 4, 4) + i) for i in range(2)]
        for batch, scores in zip(batches, model.scores(*batches)):
            assert batch.scores is scores
            torch.testing.assert_close(scores, model.score(batch))


class Linear(nn.Module):
    """A discriminator that is linear in the pixels of its input."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.flatten(1) @ self.weight


def linear_model(**settings: Any) -> tuple[zoo.DCGAN, Tensor]:
    """Return a model that scores packs of two images by a known linear function, and its weight (2, C, H, W)."""
    model = tiny_dcgan(packing=2, **settings)
    weight = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    model.discriminator = Linear(weight.flatten())
    return model, weight


def batches(n: int) -> tuple[Batch, Batch]:
    generator = torch.Generator().manual_seed(2)
    return Batch(torch.randn(n, 1, 16, 16, generator=generator)), Batch(torch.randn(n, 1, 16, 16, generator=generator))


# --- packs -----------------------------------------------------------------------------------------------------------


def test_a_pack_joins_adjacent_images_along_channels() -> None:
    joined = packs(Batch(IMAGES), 3).images
    assert torch.equal(joined[0], torch.cat([IMAGES[0], IMAGES[1], IMAGES[2]]))
    assert torch.equal(joined[1], torch.cat([IMAGES[3], IMAGES[4], IMAGES[5]]))


def test_an_image_is_followed_by_those_after_it_and_the_last_by_the_first() -> None:
    joined = with_followers(Batch(IMAGES[:5]), 2).images
    assert joined.shape == (5, 4, 3, 3)
    for i in range(5):
        assert torch.equal(joined[i], torch.cat([IMAGES[i], IMAGES[(i + 1) % 5]]))


def test_packs_of_one_are_the_batch() -> None:
    batch = Batch(IMAGES)
    assert packs(batch, 1) is batch
    assert with_followers(batch, 1) is batch


# --- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["non_saturating", "hinge", "relativistic"])
def test_losses_are_means_over_packs(name: str) -> None:
    model, weight = linear_model(objective=name)
    real, fake = batches(8)

    def by_hand(batch: Batch) -> Tensor:
        images = batch.images
        pairs = [(weight[0] * images[i]).sum() + (weight[1] * images[i + 1]).sum() for i in range(0, 8, 2)]
        return torch.stack(pairs)

    assert model.objective is not None
    expected = model.objective.discriminator_value(by_hand(real), by_hand(fake))
    torch.testing.assert_close(model.discriminator_loss(real, fake)["adversarial"], expected)


def test_r1_and_r2_are_the_squared_norm_of_a_packs_gradient() -> None:
    """The gradient of a linear score by a pack is its weight, so each penalty is half its factor times |weight|^2."""
    model, weight = linear_model(r1=3.0, r2=5.0)
    terms = model.discriminator_loss(*batches(8))
    norm = weight.square().sum()
    torch.testing.assert_close(terms["r1"], 1.5 * norm)
    torch.testing.assert_close(terms["r2"], 2.5 * norm)


def test_the_penalty_moves_the_discriminator_as_its_closed_form_does() -> None:
    model, weight = linear_model(r1=3.0)
    model.discriminator_loss(*batches(8))["r1"].backward()
    torch.testing.assert_close(model.discriminator.weight.grad, 3.0 * weight.flatten())


# --- scores of single images -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_every_image_has_a_score_in_a_batch_of_any_length(n: int) -> None:
    model, weight = linear_model()
    real, _ = batches(n)
    own = (weight[0] * real.images).flatten(1).sum(1) + (weight[1] * real.images.roll(-1, 0)).flatten(1).sum(1)
    torch.testing.assert_close(model.score(real), own)
    (scores,) = model.scores(real)
    torch.testing.assert_close(scores, own)


def test_the_mean_score_of_independent_images_is_that_of_packs() -> None:
    model, _ = linear_model()
    constant = Batch(torch.full((6, 1, 16, 16), 0.3))
    torch.testing.assert_close(model.score(constant).mean(), model.score(packs(constant, 2)).mean())


# --- training --------------------------------------------------------------------------------------------------------


def test_packs_of_points_are_those_of_pacgans_ring() -> None:
    """Its first layer has a weight for each coordinate of each point: (200 * 5) x 2m."""
    ring = {"resolution": 1, "channels": 2, "latent_dim": 2, "discriminator_width": 200, "pieces": 5}
    for m in (1, 2, 4):
        model = tiny_mlp(**ring, packing=m)
        first = next(layer for layer in model.discriminator.modules() if isinstance(layer, nn.Linear))
        assert tuple(first.weight.shape) == (1_000, 2 * m)
        points = Batch(torch.randn(8, 2, 1, 1))
        assert model.score(points).shape == (8,)
        assert model.score(packs(points, m)).shape == (8 // m,)


@pytest.mark.parametrize("settings", [{}, {"objective": "relativistic", "r1": 1.0, "r2": 1.0}, {"micro_batches": 2}])
def test_packs_are_trained_on(settings: dict[str, Any], tmp_path: Path) -> None:
    model = tiny_dcgan(packing=2, **settings)
    before = weights(model)
    train(model, 3, tmp_path)
    assert not equal(before, weights(model))


def test_a_mixture_packs_images_of_one_generator(tmp_path: Path) -> None:
    base = {"class": "DCGAN", "resolution": 16, "channels": 1, "latent_dim": 5, "width": 4, "packing": 2}
    model = zoo.MixGAN(base, 2)
    train(model, 2, tmp_path, Noise((1, 16, 16), batch_size=8))
    with pytest.raises(DataError, match=r"3 images in a pass do not fill packs of 2.*each generator of a mixture"):
        train(zoo.MixGAN(base, 2), 2, tmp_path, Noise((1, 16, 16), batch_size=6))


def test_images_that_do_not_fill_packs_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"8 images in a pass do not fill packs of 3 \(model.packing\). Set data.batch_size to a multiple of 3",
    ):
        train(tiny_dcgan(packing=3), 1, tmp_path)


def test_packs_of_labelled_images_are_refused() -> None:
    with pytest.raises(ValueError, match="packing=2 is for unconditional models; set num_classes=0 or packing=1"):
        tiny_dcgan(packing=2, num_classes=3)
    for tiny in (tiny_dcgan, tiny_mlp):
        with pytest.raises(ValueError, match="packing must be at least 1; got 0"):
            tiny(packing=0)
