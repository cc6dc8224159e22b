"""Settings of the models that a plan for photographs may choose, and what is known of each.

Each has the settings of a recipe that was trained with this library or, where there is none, those nearest to it; the
reasons say which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.config.class_names import find_class
from zoo.config.settings import settings_of
from zoo.gan import GAN

NOMINAL = 320_000
"""Length in images of the runs up to 64 px that schedules and intervals are written for; a plan scales them."""
FEWEST = {32: 100_000, 64: 150_000, 128: 600_000, 256: 2_400_000}
"""Images of a run below which a resolution is not chosen. At 64 px `progan_earth` had a coverage of 0.23 after 138,000
images, and of 0.57 after 320,000. Above, no run of this library is known: four times as many for each doubling."""
PLENTY = 1_500_000
"""Images of a run from which on networks of twice the width are chosen instead of a longer run."""
FASHION = "r3gan_fashion (32 px, grey, 400,000 images): FD-effnet-lite0 177, coverage 0.71; dcgan_fashion 291, 0.50"
EARTH = (
    "progan_earth (64 px, 1,226 images, 70 min on two cores): coverage 0.57, FD-effnet-lite0 770; with WGAN-GP 0.23 "
    "and 1,078"
)


@dataclass(frozen=True)
class Candidate:
    """A model that may be trained.

    Args:
        name: name of its class.
        resolution: height and width in pixels.
        scale: factor on its channels.
    """

    name: str
    resolution: int
    scale: int = 1

    @property
    def nominal(self) -> int:
        """Length in images that its schedules are written for."""
        return NOMINAL * max(1, self.resolution // 64)

    def model(self, channels: int, num_classes: int) -> dict[str, Any]:
        """Return the section `model` of a recipe, without augmentation."""
        shape = {"resolution": self.resolution, "channels": channels, "num_classes": num_classes}
        return {"class": self.name, **shape, **SETTINGS[self.name](self.resolution, self.scale)}

    def batch_size(self, images: int) -> int | dict[int, int]:
        """Return the batch size, which a small set of training images bounds."""
        most = 1 << max(images // 2, 1).bit_length() - 1
        size = BATCHES[self.name]
        return {key: min(each, most) for key, each in size.items()} if isinstance(size, dict) else min(size, most)


def _progan(resolution: int, scale: int) -> dict[str, Any]:
    """Return the settings of progan_earth: a grown network, the non-saturating loss and a lazy R1 penalty."""
    hold = {4: 5000, 8: 10_000, 16: 20_000, 32: 40_000, 64: 160_000, 128: 320_000}
    return {
        "latent_dim": 128,
        "width": 128 * scale,
        "width_base": 8 * resolution * scale,
        "hold_images": {size: images for size, images in hold.items() if size < resolution},
        "fade_images": 8000,
        "objective": "non_saturating",
        "r1": 1.0,
        "penalty_every": 8,
        "generator_lr": 0.003,
        "discriminator_lr": 0.003,
        "lr_schedule": "linear",
        "lr_horizon": "${images}",
        "betas": [0.0, 0.99],
        "average_halflife": 4000,
    }


def _r3gan(resolution: int, scale: int) -> dict[str, Any]:
    """Return the settings of r3gan_fashion: one block at each size, few channels."""
    sizes = [2**i for i in range(2, resolution.bit_length())]
    penalty = max(1.0, (resolution / 64) ** 2)
    return {
        "latent_dim": 64,
        "widths": [min(128, 16 * resolution // size) * scale for size in sizes],
        "blocks": 1,
        "group_size": 8,
        "objective": "relativistic",
        "r1": penalty,
        "r2": penalty,
        "penalty_final": 0.1,
        "generator_lr": 0.001,
        "discriminator_lr": 0.001,
        "penalty_every": 1,
        "lr_schedule": "cosine",
        "lr_horizon": "${images}",
        "lr_final": 0.1,
        "betas": [0.0, 0.9],
        "beta2_final": 0.99,
        "average_halflife": 20_000,
        "decay_images": "${images}",
    }


def _dcgan(resolution: int, scale: int) -> dict[str, Any]:
    """Return a DCGAN with the relativistic loss and both penalties, as in stacked_mnist_rpgan."""
    return {
        "latent_dim": 100,
        "width": 32 * scale,
        "kernel_size": 4,
        "objective": "relativistic",
        "r1": 1.0,
        "r2": 1.0,
        "penalty_every": 1,
        "generator_lr": 0.0002,
        "discriminator_lr": 0.0002,
        "lr_schedule": "linear",
        "lr_horizon": "${images}",
        "betas": [0.5, 0.999],
        "average_halflife": 10_000,
    }


SETTINGS: dict[str, Callable[[int, int], dict[str, Any]]] = {"ProGAN": _progan, "R3GAN": _r3gan, "DCGAN": _dcgan}
"""Functions from resolution and scale to the settings of a model, by the name of its class."""
BATCHES: dict[str, int | dict[int, int]] = {"ProGAN": {4: 64, 8: 32, 16: 16}, "R3GAN": 32, "DCGAN": 32}
"""Batch sizes by the name of the class; for a model that grows, from each resolution on."""
RELATIVISTIC = ("R3GAN", "DCGAN")
"""Models whose scores mean something only in pairs."""


def best_model(resolution: int, on_gpu: bool) -> tuple[str, str]:
    """Return the model that did best here at a resolution, and why.

    Args:
        resolution: height and width in pixels.
        on_gpu: whether the run is on a GPU.
    """
    if on_gpu:
        return "R3GAN", (
            "on a GPU, by its authors' results (FID 1.96 on CIFAR-10, 7.05 on FFHQ-256: recipes/r3gan_cifar10.yaml, "
            "r3gan_ffhq256.yaml); this library has not measured it there"
        )
    if resolution <= 32:
        return "R3GAN", f"best at 32 px here: {FASHION} (recipes/r3gan_fashion.yaml)"
    if resolution == 64:
        return "ProGAN", (
            f"the only model with results at 64 px on a CPU: {EARTH} (recipes/progan_earth.yaml); R3GAN and a "
            "relativistic DCGAN have not been measured there, model.class= takes one"
        )
    return "ProGAN", f"no results above 64 px; at 64 px {EARTH} (recipes/progan_earth.yaml)"


LIKE = {"R3GAN": "r3gan_fashion", "ProGAN": "progan_earth", "DCGAN": "stacked_mnist_rpgan"}
"""Recipes whose widths and batches the models have, by the name of the class."""


def settings_of_model(name: str) -> set[str]:
    """Return the names of the settings of a model."""
    return set(settings_of(find_class(name, GAN)))


def early(overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return overrides without those settings that only some of the models have, while the model is not chosen yet.

    Names that no model has stay, so that they are refused before anything is measured.
    """
    model = overrides.get("model")
    if not isinstance(model, Mapping) or "class" in model or overrides.get("pretrained"):
        return overrides
    each = [settings_of_model(name) for name in SETTINGS]
    later = each[0].union(*each) - each[0].intersection(*each)
    return {**overrides, "model": {key: value for key, value in model.items() if key not in later}}


def reason_of_given(name: str) -> str:
    """Return what is known of a model that the user has chosen."""
    known = {
        "R3GAN": FASHION,
        "ProGAN": EARTH,
        "DCGAN": "no run on photographs; with the relativistic loss and both penalties, as stacked_mnist_rpgan",
    }
    return f"given; {known[name]}"
