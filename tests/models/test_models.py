"""Networks compared with their papers: parameter counts, initialisation, latents, shapes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import zoo


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("settings", "generator", "discriminator"),
    [
        ({}, 3_576_704, 2_765_568),  # the numbers everybody's 4x4 port has
        ({"width": 128}, 12_658_432, 11_036_160),
        ({"kernel_size": 5}, 5_142_080, 4_315_584),
        ({"kernel_size": 5, "width": 128}, 18_885_760, 17_232_768),
        # PacGAN's code, with biases: 2x2x512, 5x5 kernels to 4, 7, 14 and 28 px
        ({"resolution": 28, "kernel_size": 5}, 4_514_819, 4_310_401),
        ({"resolution": 28, "kernel_size": 5, "packing": 2}, 4_514_819, 4_315_201),
        ({"resolution": 28, "kernel_size": 5, "packing": 4}, 4_514_819, 4_324_801),
    ],
)
def test_dcgan_has_the_parameters_worked_out_from_the_papers_table(
    settings: dict[str, Any], generator: int, discriminator: int
) -> None:
    with torch.device("meta"):
        model = zoo.DCGAN(**settings)
    assert (count(model.generator), count(model.discriminator)) == (generator, discriminator)


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize("resolution", [16, 32, 64, 128, 256])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_dcgan_works_at_every_resolution(resolution: int, kernel_size: int, num_classes: int) -> None:
    model = zoo.DCGAN(resolution, channels=2, width=2, latent_dim=7, kernel_size=kernel_size, num_classes=num_classes)
    images = model.sample(2, seed=0)
    assert images.shape == (2, 2, resolution, resolution)
    labels = torch.tensor([0, 2]) if num_classes else None
    assert model.score(zoo.Batch(images, labels)).shape == (2,)


def test_the_maps_of_28_pixels_are_those_of_pacgans_code() -> None:
    model = zoo.DCGAN(28, width=2, latent_dim=7, kernel_size=5)
    sizes: list[tuple[int, ...]] = []
    for layer in (*model.generator.modules(), *model.discriminator.modules()):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    images = model.generator(model.sample_latent(3))
    assert sizes == [(8, 4, 4), (4, 7, 7), (2, 14, 14), (3, 28, 28)]
    sizes.clear()
    assert model.score(zoo.Batch(images)).shape == (3,)
    assert sizes == [(2, 14, 14), (4, 7, 7), (8, 4, 4), (16, 2, 2), (1, 1, 1)]
    per_channel = [m.num_features for m in model.generator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert per_channel == [16, 8, 4, 2]


def test_28_pixels_need_the_5x5_kernels() -> None:
    with pytest.raises(ValueError, match=r"a DCGAN of 28 px has 5x5 kernels, .*; set kernel_size=5"):
        zoo.DCGAN(28)


def test_widths_double_towards_four_pixels_up_to_eight_times() -> None:
    from zoo.models.dcgan import stage_widths

    assert stage_widths(64, 64) == [512, 256, 128, 64]
    assert stage_widths(16, 32) == [64, 32]
    assert stage_widths(256, 10) == [80, 80, 80, 40, 20, 10]


@pytest.mark.parametrize("kernel_size", [4, 5])
def test_dcgan_starts_from_the_papers_initialisation(kernel_size: int) -> None:
    torch.manual_seed(0)
    model = zoo.DCGAN(width=32, kernel_size=kernel_size)
    for module in (*model.generator.modules(), *model.discriminator.modules()):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            assert module.bias is None
            assert module.weight.mean().abs() < 0.002
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert module.weight.mean().item() == pytest.approx(1.0, abs=0.02)
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.5)
            assert (module.bias == 0).all()


def test_batch_norm_is_where_the_paper_has_it() -> None:
    model = zoo.DCGAN(kernel_size=5, width=4)
    per_unit = [m for m in model.generator.modules() if isinstance(m, nn.BatchNorm1d)]
    assert [m.num_features for m in per_unit] == [32 * 16]  # one gain for each unit of the linear layer
    assert isinstance(model.generator.body[-2], nn.ConvTranspose2d)  # none on the output
    assert isinstance(model.discriminator.body[1], nn.LeakyReLU)  # none on the input


def test_latents_are_uniform_for_the_authors_network_and_normal_for_the_ports() -> None:
    torch.manual_seed(0)
    z = zoo.DCGAN(width=2, kernel_size=5).sample_latent(2000)
    assert z.abs().max() <= 1
    assert z.std().item() == pytest.approx(3**-0.5, abs=0.01)
    z = zoo.DCGAN(width=2).sample_latent(2000)
    assert z.std().item() == pytest.approx(1.0, abs=0.01)
    assert zoo.DCGAN(width=2, latent="uniform").sample_latent(2000).abs().max() <= 1


def test_the_class_reaches_both_networks() -> None:
    torch.manual_seed(0)
    model = zoo.DCGAN(16, channels=1, width=4, num_classes=3).eval()
    images = model.sample(1, seed=0, labels=0)
    assert not torch.equal(images, model.sample(1, seed=0, labels=1))
    scores = [model.score(zoo.Batch(images, torch.tensor([k]))).item() for k in range(3)]
    assert len(set(scores)) == 3


@pytest.mark.parametrize(("name", "value"), [("resolution", 48), ("resolution", 512), ("kernel_size", 3)])
def test_what_dcgan_does_not_offer_is_refused_with_what_it_does(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} of a DCGAN is .*; got {value}"):
        zoo.DCGAN(**{name: value})


def test_maxout_takes_the_largest_of_its_pieces() -> None:
    from zoo.models.vanilla import Maxout

    torch.manual_seed(0)
    layer, x = Maxout(3, 4, 5), torch.randn(6, 3)
    by_hand = torch.stack(
        [torch.stack([layer.linear(x)[:, unit * 5 + piece] for piece in range(5)]).amax(0) for unit in range(4)]
    )
    torch.testing.assert_close(layer(x), by_hand.T)


def test_vanilla_has_the_parameters_of_its_layers() -> None:
    model = zoo.VanillaGAN(
        resolution=16, channels=1, latent_dim=10, layers=2, width=20, discriminator_width=6, pieces=5
    )
    assert count(model.generator) == (10 * 20 + 20) + (20 * 20 + 20) + (20 * 256 + 256)
    assert count(model.discriminator) == (256 * 30 + 30) + (6 * 30 + 30) + (6 + 1)


def test_vanilla_makes_points_without_a_bound_and_images_within_one() -> None:
    points = zoo.VanillaGAN(resolution=1, channels=2, latent_dim=2)
    assert not any(isinstance(m, nn.Tanh) for m in points.generator.modules())
    assert points.sample(3, seed=0).shape == (3, 2, 1, 1)
    assert any(isinstance(m, nn.Tanh) for m in zoo.VanillaGAN().generator.modules())


def test_vanilla_is_unconditional() -> None:
    with pytest.raises(ValueError, match=r"num_classes must be 0; got 10. Use zoo.DCGAN"):
        zoo.VanillaGAN(num_classes=10)


def test_vanillas_initial_deviation_reaches_the_average_too() -> None:
    torch.manual_seed(0)
    model = zoo.VanillaGAN(width=256, initial_deviation=0.02)
    for network in (model.generator, model.average, model.discriminator):
        for module in network.modules():
            if isinstance(module, nn.Linear) and module.weight.numel() > 1000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert (module.bias == 0).all()
