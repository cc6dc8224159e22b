"""Tiny models of every kind and mixtures of them."""

from __future__ import annotations

from typing import Any

import torch

import zoo
from tests.helpers.training import TINY_BIGGAN, TINY_DCGAN, TINY_MLP
from zoo.models.mix.mixgan import MixGAN

MLP: dict[str, Any] = {"class": "VanillaGAN", **TINY_MLP}
DCGAN: dict[str, Any] = {"class": "DCGAN", **TINY_DCGAN}
WGAN: dict[str, Any] = {
    "class": "WGANGP",
    "resolution": 16,
    "channels": 1,
    "latent_dim": 5,
    "width": 4,
    "critic_steps": 2,
}
PROGAN: dict[str, Any] = {
    "class": "ProGAN",
    "resolution": 16,
    "channels": 1,
    "latent_dim": 6,
    "width": 6,
    "width_base": 32,
    "hold_images": 24,
    "fade_images": 24,
}
BIGGAN: dict[str, Any] = {"class": "BigGAN", **TINY_BIGGAN}
DEEP: dict[str, Any] = {**BIGGAN, "class": "BigGANDeep"}


def alone(base: dict[str, Any], **loop: Any) -> zoo.GAN:
    from zoo.config.class_names import find_class

    torch.manual_seed(0)
    settings = {**base, **loop}
    model: zoo.GAN = find_class(settings.pop("class"))(**settings)
    return model


def mix(base: dict[str, Any], components: int = 3, *, loop: dict[str, Any] | None = None, **mixture: Any) -> MixGAN:
    torch.manual_seed(0)
    return MixGAN({**base, **(loop or {})}, components, **mixture)


def unequal(model: MixGAN) -> None:
    """Give both sides non-uniform weights."""
    for side in (model.generator, model.discriminator, model.average):
        with torch.no_grad():
            side.log_weights.copy_(torch.arange(len(side)).mul(0.7).sub(1.0).log_softmax(0))
        side.step(0.0)


def constant(model: MixGAN) -> MixGAN:
    """Make member i draw constant images of value (i - 1) / 2."""
    for network in (model.generator, model.average):
        for i, member in enumerate(network.members):
            with torch.no_grad():
                for parameter in member.parameters():
                    parameter.zero_()
                list(member.parameters())[-1].fill_(float(torch.tensor((i - 1) / 2.0).atanh()))
    return model
