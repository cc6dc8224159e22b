"""What ProGAN's networks, real images, samples and scores are in a stage, and in a fade to the next."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

import zoo
from tests.helpers.growing_progan import tiny
from zoo import sampling
from zoo.models.progan_growth import Stage


def twice(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="nearest")


@pytest.mark.parametrize(("old", "new"), [(4, 8), (8, 16)])
def test_the_generator_fades_from_the_old_stage_doubled_to_the_new(old: int, new: int) -> None:
    generator, z = tiny().generator, torch.randn(3, 5)
    before, after = twice(generator(z, None, Stage(old))), generator(z, None, Stage(new))
    assert before.shape == after.shape == (3, 2, new, new)
    assert not torch.allclose(before, after, atol=0.1)
    for alpha in (0.0, 1e-9, 0.3, 1 - 1e-7):
        torch.testing.assert_close(generator(z, None, Stage(new, alpha)), (1 - alpha) * before + alpha * after)


@pytest.mark.parametrize(("old", "new"), [(4, 8), (8, 16)])
def test_the_discriminator_fades_from_the_old_stage_on_averaged_images_to_the_new(old: int, new: int) -> None:
    discriminator, images = tiny().discriminator, torch.randn(4, 2, new, new)
    before, after = discriminator(avg_pool2d(images, 2), Stage(old)), discriminator(images, Stage(new))
    assert not torch.allclose(before, after, atol=1e-3)
    torch.testing.assert_close(discriminator(images, Stage(new, 0.0)), before)
    torch.testing.assert_close(discriminator(images, Stage(new, 1 - 1e-7)), after, rtol=1e-4, atol=1e-5)


def test_during_a_fade_the_features_are_mixed_not_the_scores() -> None:
    discriminator, images = tiny().discriminator, torch.randn(4, 2, 16, 16)
    act = lambda x: nn.functional.leaky_relu(x, 0.2)  # noqa: E731
    new = act(discriminator.from_rgb[2](images))
    for convolution in discriminator.blocks[1]:
        new = act(convolution(new))
    x = 0.7 * act(discriminator.from_rgb[1](avg_pool2d(images, 2))) + 0.3 * avg_pool2d(new, 2)
    for convolution in discriminator.blocks[0]:
        x = act(convolution(x))
    x = act(discriminator.last(discriminator.deviation(avg_pool2d(x, 2))))
    expected = discriminator.readout(act(discriminator.dense(x.flatten(1))))
    torch.testing.assert_close(discriminator(images, Stage(16, 0.3)), expected)


def test_real_images_are_shrunk_to_the_stage_and_faded_like_generated_ones() -> None:
    model, images = tiny(fade_images=1_000_000), torch.rand(4, 2, 16, 16) * 2 - 1
    small = avg_pool2d(images, 2)
    coarse = twice(avg_pool2d(images, 4))
    for seen, expected in [
        (0, avg_pool2d(images, 4)),
        (33, coarse),  # alpha 1e-6
        (32 + 250_000, 0.75 * coarse + 0.25 * small),
        (32 + 999_999, small),
        (1_000_032, small),
        (1_000_032 + 32 + 500_000, 0.5 * twice(small) + 0.5 * images),
        (3_000_000, images),
    ]:
        model.images_seen = seen
        torch.testing.assert_close(model.prepare(zoo.Batch(images)).images, expected, rtol=0, atol=5e-6)
    model.images_seen = 32 + 250_000
    shrunk = model.prepare(zoo.Batch(small, torch.arange(4)))  # as the data module delivers them
    torch.testing.assert_close(shrunk.images, 0.75 * coarse + 0.25 * small)
    assert shrunk.labels is not None
    assert shrunk.labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("seen", "resolution"), [(0, 4), (40, 8), (64, 8), (100, 16), (128, 16)])
def test_samples_have_full_resolution_in_every_stage(seen: int, resolution: int) -> None:
    model = tiny()
    model.images_seen = seen
    assert model.data_resolution(seen) == resolution
    images = model.sample(3, seed=0)
    assert images.shape == (3, 2, 16, 16)
    assert images.abs().max() <= 1
    factor = 16 // resolution
    assert torch.equal(images, interpolate(images[..., ::factor, ::factor], scale_factor=factor, mode="nearest"))
    assert sampling.interpolate(model, 2, 3, seed=0).shape == (6, 2, 16, 16)


@pytest.mark.parametrize(("seen", "factor"), [(0, 4), (64, 2), (128, 1)])
def test_a_stage_scores_images_of_full_size(seen: int, factor: int) -> None:
    model, images = tiny(), torch.rand(4, 2, 16, 16)
    model.images_seen = seen
    scores = model.score(zoo.Batch(images))
    assert scores.shape == (4,)
    torch.testing.assert_close(scores, model.score(zoo.Batch(avg_pool2d(images, factor))))
