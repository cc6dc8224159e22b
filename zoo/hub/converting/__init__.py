"""Convert weights of other libraries to models of this library that compute the same.

The meaning of a tensor is read off its name and shape; facts that these do not determine are given by the user. A
converter uses every tensor of its source, or refuses to convert.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from zoo.config.settings import check_settings, settings_of
from zoo.errors import ReleaseError, did_you_mean, first_line
from zoo.gan import GAN
from zoo.hub.converting import biggan, dcgan, pretrained_biggan, progan
from zoo.hub.converting.tensors import Conversion, split_networks

SOURCES: dict[str, tuple[Callable[..., Conversion], str]] = {
    "pytorch-pretrained-biggan": (
        pretrained_biggan.convert,
        "BigGAN-deep generators of huggingface/pytorch-pretrained-biggan; fact: truncation",
    ),
    "BigGAN-PyTorch": (biggan.convert, "BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch: G, D, G_ema; fact: epsilon"),
    "pytorch_GAN_zoo-PGAN": (
        progan.convert,
        "progressive GAN of facebookresearch/pytorch_GAN_zoo: netG, netD, avgG; facts: num_classes, alpha, "
        "before_july_2019",
    ),
    "pytorch_GAN_zoo-DCGAN": (dcgan.convert_gan_zoo, "DCGAN of facebookresearch/pytorch_GAN_zoo: netG, netD, avgG"),
    "pytorch-tutorial-DCGAN": (dcgan.convert_tutorial, "the 4x4 DCGAN of PyTorch's tutorial and examples: netG, netD"),
    "lightning-bolts-DCGAN": (dcgan.convert_bolts, "pl_bolts.models.gans.DCGAN: one state dict of the LightningModule"),
}
"""The converter of each source, by the source's name, with a description."""


FACTS = {
    "images_seen": int,
    "num_classes": int,
    "truncation": float,
    "epsilon": float,
    "alpha": float,
    "before_july_2019": bool,
}
"""Facts that converters take, and their types: whole numbers from 0, numbers, or true and false."""


def convert(state_dict: Mapping[str, Any], source: str, **facts: Any) -> GAN:
    """Build a model of this library that computes the same as the source's networks, up to rounding of about 1e-6.

    Args:
        state_dict: state dict of the generator; or a mapping with several of `generator` (G, netG), `discriminator`
            (D, netD) and `average` (G_ema, avgG); or a Lightning checkpoint.
        source: name of the source, a key of `zoo.hub.converting.SOURCES`.
        facts: facts that the shapes do not determine: those of the source (see `SOURCES`), and any setting of the
            model's class, such as `latent="uniform"`. `images_seen` is the number of images that the model counts
            as seen.

    Raises:
        ReleaseError: if tensors are missing or left over, or a network cannot be computed by this library; the text
            says why.
    """
    if source not in SOURCES:
        raise ReleaseError(f"there is no converter for {source!r}.{did_you_mean(source, SOURCES)}")
    networks = split_networks(state_dict, source)
    given = {key: _fact(key, value) if key in FACTS else value for key, value in facts.items()}
    images_seen = given.pop("images_seen", None)
    try:
        conversion = SOURCES[source][0](networks, given)
    except (IndexError, ValueError, RuntimeError, TypeError) as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(f"these are not the tensors of {source}: {first_line(error)}") from error
    networks.check_all_taken()
    model = _build(conversion, given)
    missing = _load(model, conversion, source)
    model.origin = {"source": source, **conversion.notes}
    if missing:
        model.origin["missing"] = missing
    model.set_clock(conversion.images_seen(model) if images_seen is None else images_seen)
    return model.eval()


def _fact(key: str, value: Any) -> Any:
    """Return a fact in its type: 1e6 is the whole number 1000000.

    Raises:
        ReleaseError: for another type, for NaN or infinity, and for a negative whole number.
    """
    kind = FACTS[key]
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise ReleaseError(f"{key} is true or false; got {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        if kind is float:
            return float(value)
        if value >= 0 and value == int(value):
            return int(value)
    raise ReleaseError(f"{key} is {'a finite number' if kind is float else 'a whole number from 0'}; got {value!r}")


def _build(conversion: Conversion, given: dict[str, Any]) -> GAN:
    """Build the model with the arguments that were read off the shapes and those that the user gave."""
    known = settings_of(conversion.target)
    for key in given:
        if key not in known:
            raise ReleaseError(f"{key} is no fact that is asked for.{did_you_mean(key, known)}")
    values, faults = check_settings(conversion.target, {**conversion.arguments, **given}, "")
    if faults:
        raise ReleaseError("; ".join(faults))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # for networks that the source does not have
            model: GAN = conversion.target(**values)
    except ValueError as error:
        raise ReleaseError(f"the zoo's {conversion.target.__name__} cannot have the source's sizes: {error}") from error
    return model


def _load(model: GAN, conversion: Conversion, source: str) -> str:
    """Load the tensors into the model; return which network the source lacks, such as "a discriminator", or "".

    Raises:
        ReleaseError: if the tensors are not those of the model.
    """
    generator = conversion.generator if conversion.generator is not None else conversion.average
    pairs = [
        (model.generator, generator, "generator"),
        (model.discriminator, conversion.discriminator, "discriminator"),
        (model.average, conversion.average if conversion.average is not None else generator, "average"),
    ]
    missing = ""
    for network, tensors, name in pairs:
        if tensors is None:
            missing = f"a {name}"
            continue
        state = network.state_dict()
        faults = [f"{key} is missing" for key in state if key not in tensors]
        faults += [f"{key} is not in the zoo's network" for key in tensors if key not in state]
        faults += [
            f"{key} is {tuple(tensors[key].shape)}, the zoo's {tuple(state[key].shape)}"
            for key in state
            if key in tensors and tensors[key].shape != state[key].shape
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
