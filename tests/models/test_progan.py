"""The networks of ProGAN compared with the paper and its authors' code."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from tests.helpers.growing_progan import tiny
from tests.helpers.training import equal
from zoo.models.progan_growth import Stage


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        ({"resolution": 1024}, 23_079_115, 23_087_249),
        ({"resolution": 256}, 23_044_309, 23_052_353),
        ({"resolution": 128}, 22_933_394, 22_941_313),
        ({"resolution": 64}, 22_490_383, 22_498_049),
        ({"resolution": 32, "width": 128, "width_base": 4096, "latent_dim": 128}, 1_296_908, 1_298_689),
    ],
)
def test_parameters_are_those_of_the_authors_networks(
    settings: dict[str, Any], generator: int, discriminator: int
) -> None:
    """Counts include the RGB heads of all resolutions; those of the paper's table 2, 23.1M each, the last ones only."""
    with torch.device("meta"):
        model = zoo.ProGAN(**settings)
    assert (count(model.generator), count(model.discriminator)) == (generator, discriminator)


def test_widths_are_those_of_table_2() -> None:
    with torch.device("meta"):
        model = zoo.ProGAN(1024)
    assert [head.weight.shape[1] for head in model.generator.to_rgb] == [512] * 4 + [256, 128, 64, 32, 16]
    assert [head.weight.shape[0] for head in model.discriminator.from_rgb] == [512] * 4 + [256, 128, 64, 32, 16]
    assert model.discriminator.last.weight.shape == (512, 513, 3, 3)  # and the minibatch deviation


def test_gains_are_one_before_nothing_and_smaller_at_the_latent() -> None:
    model = tiny(num_classes=3)
    generator, discriminator = model.generator, model.discriminator
    assert generator.dense.scale == pytest.approx(math.sqrt(2) / 4 / math.sqrt(5 + 3))
    assert [head.scale for head in generator.to_rgb] == pytest.approx([1 / math.sqrt(fan_in) for fan_in in (6, 6, 4)])
    assert discriminator.readout.scale == pytest.approx(1 / math.sqrt(6))
    assert discriminator.dense.scale == pytest.approx(math.sqrt(2 / (16 * 6)))
    assert [head.scale for head in discriminator.from_rgb] == pytest.approx([math.sqrt(2 / 2)] * 3)
    assert generator.dense.bias.shape == (6,)
    assert discriminator.readout.weight.shape == (1 + 3, 6)


def test_only_the_direction_of_a_latent_counts_and_images_have_no_bound() -> None:
    model, z = tiny(), torch.randn(4, 5)
    images = model.generator(z, None, Stage(16))
    torch.testing.assert_close(images, model.generator(100 * z, None, Stage(16)), rtol=1e-4, atol=1e-4)
    model.generator.to_rgb[2].bias.data.fill_(7.0)
    assert model.generator(z, None, Stage(16)).mean() > 2


@pytest.mark.parametrize("resolution", [2, 4, 12, 48, 2048])
def test_impossible_resolutions_are_refused(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"a power of two from 8 to 1024; got {resolution}"):
        zoo.ProGAN(resolution)


def test_widths_that_leave_no_channel_are_refused() -> None:
    with pytest.raises(ValueError, match="width_base at least 16; got 8 and 15"):
        zoo.ProGAN(32, width=8, width_base=15)
    assert zoo.ProGAN(32, width=8, width_base=16).resolution == 32


@pytest.mark.parametrize(("hold", "fade"), [(0, 5), (5, -1)])
def test_impossible_schedules_are_refused(hold: int, fade: int) -> None:
    with pytest.raises(ValueError, match=f"got {hold} and {fade}"):
        zoo.ProGAN(8, width=2, hold_images=hold, fade_images=fade)


def test_the_class_enters_the_generator_and_the_discriminator_classifies() -> None:
    model = tiny(num_classes=3)
    z = torch.randn(1, 5).expand(3, -1)
    images = model.generate(model.generator, z, torch.arange(3))
    assert not torch.equal(images[0], images[1])
    assert model.logits(zoo.Batch(images)).shape == (3, 4)
    assert model.score(zoo.Batch(images)).shape == (3,)
    torch.testing.assert_close(  # labels are what it predicts, not what it is given
        model.score(zoo.Batch(images, torch.arange(3))), model.score(zoo.Batch(images))
    )


def test_without_equalized_rate_the_same_function_starts_out_and_learns_otherwise() -> None:
    settings: dict[str, Any] = {"latent_dim": 6, "width": 8, "width_base": 16}
    models = []
    for equalized in (True, False):
        torch.manual_seed(0)
        models.append(zoo.ProGAN(8, 1, equalized=equalized, **settings))
    z, images = torch.randn(4, 6), torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.allclose(*(m.generate(m.generator, z, None) for m in models), atol=1e-5)
        assert torch.allclose(*(m.score(zoo.Batch(images)) for m in models), atol=1e-5)
    first = [m.discriminator.last.weight for m in models]
    assert float(first[1].detach().std()) == pytest.approx(
        float(first[0].detach().std()) * math.sqrt(2 / (9 * 9)), rel=1e-4
    )
    assert sum(p.numel() for p in models[0].parameters()) == sum(p.numel() for p in models[1].parameters())


def test_without_pixel_norm_the_generator_has_the_same_weights_and_other_activations() -> None:
    torch.manual_seed(0)
    model = zoo.ProGAN(8, 1, latent_dim=6, width=8, width_base=16, pixel_norm=False)
    torch.manual_seed(0)
    usual = zoo.ProGAN(8, 1, latent_dim=6, width=8, width_base=16)
    assert equal(model.state_dict(), usual.state_dict())
    x = torch.randn(2, 8, 4, 4) * 5
    assert torch.equal(model.generator._activate(x), torch.nn.functional.leaky_relu(x, 0.2))
    assert usual.generator._activate(x).square().mean(1).sub(1).abs().max() < 1e-3
