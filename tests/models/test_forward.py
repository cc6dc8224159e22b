"""Every variant as a plain function of latents and labels: `model(z, labels)`, exported, traced, in other dtypes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import zoo
from zoo.audit.zoo_model import ZooModelAdapter
from zoo.gan import GAN

DCGAN = {"class": "DCGAN", "resolution": 16, "width": 4, "latent_dim": 8}
PROGAN = {"resolution": 16, "width": 8, "width_base": 64, "latent_dim": 8, "hold_images": 100, "fade_images": 100}
MODELS: dict[str, Callable[[], GAN]] = {
    "dcgan": lambda: zoo.DCGAN(resolution=16, width=4, latent_dim=8),
    "dcgan 5x5 with classes": lambda: zoo.DCGAN(16, width=4, latent_dim=8, kernel_size=5, num_classes=3),
    "biggan": lambda: zoo.BigGAN(16, width=8, num_classes=3, shared_dim=4, latent_dim=8, attention=8),
    "biggan without classes": lambda: zoo.BigGAN(16, width=8, num_classes=0, latent_dim=8, attention=0),
    "biggan-deep": lambda: zoo.BigGANDeep(16, width=8, num_classes=3, shared_dim=4, latent_dim=8, attention=8),
    "r3gan": lambda: zoo.R3GAN(16, latent_dim=8, width=8, num_classes=3),
    "r3gan without classes, one channel": lambda: zoo.R3GAN(16, channels=1, latent_dim=8, width=8),
    "wgan-gp": lambda: zoo.WGANGP(16, width=8, latent_dim=8),
    "wgan-gp 64 px with classes": lambda: zoo.WGANGP(64, width=4, latent_dim=8, num_classes=3),
    "wgan-gp convolutional": lambda: zoo.WGANGP(28, width=4, latent_dim=8, architecture="convolutional"),
    "progan in a fade": lambda: at(150, zoo.ProGAN(**PROGAN)),
    "progan grown, with classes": lambda: zoo.ProGAN(**PROGAN, num_classes=3, initial_resolution=16),
    "vanilla": lambda: zoo.VanillaGAN(8, width=16, latent_dim=8, batch_norm=True),
    "mixture": lambda: zoo.MixGAN(DCGAN, components=3),
    "mixture of growing members": lambda: at(150, zoo.MixGAN({"class": "ProGAN", **PROGAN}, components=2)),
}


def at(images: int, model: GAN) -> GAN:
    model.set_clock(images)
    return model


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> GAN:
    torch.manual_seed(0)
    return MODELS[request.param]().eval()


def inputs(model: GAN, n: int) -> tuple[Tensor, ...]:
    z = torch.randn(n, model.latent_dim, generator=torch.Generator().manual_seed(n))
    return (z, torch.arange(n) % model.num_classes) if model.num_classes else (z,)


def seeded(function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    torch.manual_seed(7)  # a mixture draws the member of each row
    return function(*arguments)


def test_a_model_called_with_latents_gives_what_it_samples(model: GAN) -> None:
    """Row M7: also a growing network, at the full resolution; of a mixture each row is one member's."""
    images = seeded(model, *inputs(model, 6))
    assert images.shape == (6, model.channels, model.resolution, model.resolution)
    members = [model.member(i) for i in range(len(model.generator))] if isinstance(model, zoo.MixGAN) else [model]
    z, *labels = inputs(model, 6)
    each = torch.stack([zoo.sampling.render(member, z, *labels or [None]) for member in members])
    nearest = (each - images).abs().amax((2, 3, 4)).amin(0)
    assert nearest.max() < 1e-6


@pytest.mark.parametrize("model", [name for name in MODELS if name != "biggan-deep"], indirect=True)
def test_an_exported_model_takes_any_number_of_latents(model: GAN) -> None:
    """Row M7: exported with three rows, asked for one and for five. BigGAN-deep takes half a minute, and its plain
    generator is exported by `tests/export/test_export.py`.
    """
    batch = torch.export.Dim("batch")
    example = inputs(model, 3)
    exported = torch.export.export(model, example, dynamic_shapes=({0: batch},) * len(example)).module()
    for n in (1, 5):
        torch.testing.assert_close(seeded(exported, *inputs(model, n)), seeded(model, *inputs(model, n)))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_traced_generator_takes_any_number_of_latents(model: GAN) -> None:
    """Row M7: the network itself is a plain function of latents and labels, also a ProGAN's, then fully grown."""
    network = model.average.members[0] if isinstance(model, zoo.MixGAN) else model.average
    traced = torch.jit.trace(network, inputs(model, 3), check_trace=False)
    for n in (1, 5):
        torch.testing.assert_close(traced(*inputs(model, n)), network(*inputs(model, n)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_models_of_another_dtype_draw_the_same_latents(model: GAN, dtype: torch.dtype) -> None:
    """Row M6: images are float32 and those of float32 weights but for rounding; scores have the weights' dtype."""
    expected = model.sample(6, seed=3)
    images = model.to(dtype).sample(6, seed=3)
    assert images.dtype == torch.float32
    # Random weights of a ProGAN are not rounded away: its images are not bounded by a tanh.
    assert (images - expected).abs().mean() < {torch.float64: 1e-5, torch.bfloat16: 0.03, torch.float16: 0.01}[dtype]
    scores = ZooModelAdapter(model)._score(images, torch.zeros(6).long() if model.num_classes else None)
    assert scores.dtype == dtype
    assert scores.isfinite().all()


def test_interpolations_and_standing_statistics_of_half_precision() -> None:
    """Row M6, further ways from latents to images."""
    model = zoo.DCGAN(resolution=16, width=4, latent_dim=8).eval().bfloat16()
    assert zoo.sampling.interpolate(model, 2, 3, seed=0).isfinite().all()
    with zoo.standing_statistics(model, passes=2):
        assert model.sample(2, seed=0).isfinite().all()
