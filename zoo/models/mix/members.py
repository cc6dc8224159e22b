"""The members of a MixGAN: several models of one base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.config.class_names import find_class
from zoo.gan import GAN


def build_members(base: Mapping[str, Any] | str, count: int, seed: int) -> list[GAN]:
    """Models of the base with weights of their own; the first has those that the base alone would have.

    Raises:
        ValueError: for a base that cannot be mixed.
    """
    settings: dict[str, Any] = {"class": base} if isinstance(base, str) else dict(base)
    name = settings.pop("class", None)
    if name is None:
        raise ValueError("base needs `class`, the variant to mix, such as {'class': 'DCGAN', 'resolution': 32}")
    target = find_class(str(name), GAN)
    if not (isinstance(target, type) and issubclass(target, GAN)) or target is GAN or hasattr(target, "nested"):
        raise ValueError(f"base: {name} is not a GAN that can be mixed; name a variant, such as DCGAN")
    if settings.setdefault("seed", seed) != seed:
        raise ValueError(f"base: seed is the mixture's, {seed}; got {settings['seed']}. Leave it out")
    models = [target(**settings) for _ in range(count)]
    others = sorted({key for key, _ in models[0].named_parameters()} - _network_parameters(models[0]))
    if others:
        raise ValueError(
            f"base: {name} has parameters outside its generator and discriminator ({others[0]}), which a MixGAN could "
            "not mix"
        )
    return models


def _network_parameters(model: GAN) -> set[str]:
    return {
        key for key, _ in model.named_parameters() if key.split(".")[0] in ("generator", "discriminator", "average")
    }
