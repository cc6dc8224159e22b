"""Weights that were trained elsewhere, as models of the zoo that compute the same.

What a tensor means is read off its name and shape; what cannot be is a fact to be given. A converter takes every tensor
of its source or refuses: nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from zoo.config.settings import check_settings, settings_of
from zoo.errors import ReleaseError, did_you_mean, first_line
from zoo.gan import GAN
from zoo.hub.converting import biggan, dcgan, pretrained_biggan, progan
from zoo.hub.converting.tensors import Found, networks_of

SOURCES: dict[str, tuple[Callable[..., Found], str]] = {
    "pytorch-pretrained-biggan": (
        pretrained_biggan.found,
        "BigGAN-deep generators of huggingface/pytorch-pretrained-biggan; fact: truncation",
    ),
    "BigGAN-PyTorch": (biggan.found, "BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch: G, D, G_ema; fact: epsilon"),
    "pytorch_GAN_zoo-PGAN": (
        progan.found,
        "progressive GAN of facebookresearch/pytorch_GAN_zoo: netG, netD, avgG; facts: num_classes, alpha",
    ),
    "pytorch_GAN_zoo-DCGAN": (dcgan.found_gan_zoo, "DCGAN of facebookresearch/pytorch_GAN_zoo: netG, netD, avgG"),
    "pytorch-tutorial-DCGAN": (dcgan.found_tutorial, "the 4x4 DCGAN of PyTorch's tutorial and examples: netG, netD"),
    "lightning-bolts-DCGAN": (dcgan.found_bolts, "pl_bolts.models.gans.DCGAN: one state dict of the LightningModule"),
}
"""By name: what finds a model in the tensors, and what it is for."""


FACTS = {"images_seen": int, "num_classes": int, "truncation": float, "epsilon": float, "alpha": float}
"""Facts that sources ask for, all of them numbers."""


def convert(state_dict: Mapping[str, Any], source: str, **facts: Any) -> GAN:
    """A model of the zoo that computes what the source's networks do, to about 1e-6 of rounding.

    Args:
        state_dict: of the generator; or a mapping of several: `generator` (G, netG), `discriminator` (D, netD) and
            `average` (G_ema, avgG). A Lightning checkpoint is taken by its `state_dict`.
        source: one of `zoo.hub.converting.SOURCES`.
        facts: what shapes cannot tell: the source's own (see there), and any setting of the model's class, such as
            `latent="uniform"`. `images_seen` sets the clock.

    Raises:
        ReleaseError: when tensors are missing, left over, or of a network that the zoo cannot compute, with the reason.
    """
    if source not in SOURCES:
        raise ReleaseError(f"there is no converter for {source!r}.{did_you_mean(source, SOURCES)}")
    networks = networks_of(state_dict, source)
    given = dict(facts)
    for key, value in given.items():
        if key in FACTS and not isinstance(value, (FACTS[key], int)):
            raise ReleaseError(f"{key} is a number; got {value!r}")
    images_seen = given.pop("images_seen", None)
    try:
        found = SOURCES[source][0](networks, given)
    except (IndexError, ValueError, RuntimeError, TypeError) as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(f"these are not the tensors of {source}: {first_line(error)}") from error
    networks.all_taken()
    model = _built(found, given)
    missing = _load(model, found, source)
    model.origin = {"source": source, **found.notes}
    if missing:
        model.origin["missing"] = missing
    model.set_clock(found.images_seen(model) if images_seen is None else int(images_seen))
    return model.eval()


def _built(found: Found, given: dict[str, Any]) -> GAN:
    known = settings_of(found.target)
    for key in given:
        if key not in known:
            raise ReleaseError(f"{key} is no fact that is asked for.{did_you_mean(key, known)}")
    values, faults = check_settings(found.target, {**found.arguments, **given}, "")
    if faults:
        raise ReleaseError("; ".join(faults))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # for what the source does not have
            model: GAN = found.target(**values)
    except ValueError as error:
        raise ReleaseError(f"the zoo's {found.target.__name__} cannot be of the source's sizes: {error}") from error
    return model


def _load(model: GAN, found: Found, source: str) -> str:
    """Put the tensors into place; returns which network the source did not have."""
    generator = found.generator if found.generator is not None else found.average
    pairs = [
        (model.generator, generator, "generator"),
        (model.discriminator, found.discriminator, "discriminator"),
        (model.average, found.average if found.average is not None else generator, "average"),
    ]
    missing = ""
    for network, tensors, name in pairs:
        if tensors is None:
            missing = f"a {name}"
            continue
        mine = network.state_dict()
        faults = [f"{key} is missing" for key in mine if key not in tensors]
        faults += [f"{key} is not in the zoo's network" for key in tensors if key not in mine]
        faults += [
            f"{key} is {tuple(tensors[key].shape)}, the zoo's {tuple(mine[key].shape)}"
            for key in mine
            if key in tensors and tensors[key].shape != mine[key].shape
        ]
        if faults:
            more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
            raise ReleaseError(
                f"the {name} of {source} is not one that the zoo's {type(model).__name__} can be: "
                + "; ".join(faults[:3])
                + more
            )
        network.load_state_dict(tensors)
    return missing
