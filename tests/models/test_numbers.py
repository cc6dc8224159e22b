"""Tests of settings that no model can be built or trained with: each is refused by its name."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

import zoo

SMALL: dict[str, dict[str, Any]] = {
    "VanillaGAN": {"resolution": 4, "width": 4},
    "DCGAN": {"resolution": 16, "width": 4},
    "WGANGP": {"resolution": 16, "width": 4},
    "ProGAN": {"resolution": 8, "width": 4, "width_base": 64},
    "BigGAN": {"resolution": 16, "width": 4, "num_classes": 3, "attention": 0},
    "BigGANDeep": {"resolution": 16, "width": 4, "num_classes": 3, "attention": 0},
    "R3GAN": {"resolution": 8, "width": 8},
}
ANY_NUMBER = {"seed", "lr_horizon"}  # the second is of use only where a schedule needs it, which then checks it


def numbers_of(cls: type) -> dict[str, float]:
    """Return the settings of a model, and of the loop, that are numbers, with their defaults."""
    found: dict[str, Any] = {}
    for owner in cls.__mro__:
        if issubclass(owner, zoo.GAN) and "__init__" in vars(owner):
            for name, parameter in inspect.signature(owner).parameters.items():
                found.setdefault(name, parameter.default)
    return {name: value for name, value in found.items() if type(value) in (int, float) and name not in ANY_NUMBER}


@pytest.mark.parametrize("name", SMALL)
def test_numbers_out_of_range_are_refused_by_name(name: str) -> None:
    cls = getattr(zoo, name)
    for setting, default in numbers_of(cls).items():
        for value in (-1, math.nan) if type(default) is float else (-1,):
            with pytest.raises(ValueError, match=setting):
                cls(**{**SMALL[name], setting: value})


@pytest.mark.parametrize(
    ("name", "setting"),
    [*((name, "channels") for name in SMALL), ("WGANGP", "width"), ("BigGAN", "width"), ("R3GAN", "latent_dim")],
)
def test_a_network_has_at_least_one_of_each(name: str, setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be at least 1; got 0"):
        getattr(zoo, name)(**{**SMALL[name], setting: 0})


def test_an_embedding_of_classes_has_a_length() -> None:
    with pytest.raises(ValueError, match="shared_dim must be at least 1; got 0"):
        zoo.BigGANDeep(**SMALL["BigGANDeep"], shared_dim=0)
    zoo.BigGANDeep(**{**SMALL["BigGANDeep"], "num_classes": 0}, shared_dim=0)


def test_latents_of_an_unknown_distribution_are_refused() -> None:
    with pytest.raises(ValueError, match="latent of a DCGAN is auto, normal or uniform; got 'unifrom'"):
        zoo.DCGAN(resolution=16, width=4, latent="unifrom")  # type: ignore[arg-type]
