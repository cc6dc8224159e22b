"""Convert the progressive GAN of pytorch_GAN_zoo (models/networks/progressive_conv_net.py, custom_layers.py).

It differs from the authors' code and from this library in four ways: it scales the output of a layer, including the
bias, instead of the weight; it uses the gain sqrt(2) in all layers; its first bias has a value for each unit; and its
minibatch stddev is computed differently, and was computed in another way before July 2019 (commit f5c8125; see
`zoo.layers.minibatch_stddev`). Weights and biases are multiplied so that the
converted model computes the same.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from torch import Tensor

from zoo.errors import ReleaseError
from zoo.gan import GAN
from zoo.hub.converting.tensors import Conversion, Networks, Tensors
from zoo.models.progan import ProGAN
from zoo.models.progan_growth import Widths


def convert(networks: Networks, facts: dict[str, Any]) -> Conversion:
    """Convert a progressive GAN.

    Args:
        networks: the networks of the source.
        facts: `num_classes` of a conditional model (an AC-GAN with one attribute); `alpha`, the source's weight of the
            previous resolution, from 1 at the start of a fade to 0 at its end; `before_july_2019` for weights that
            were trained with the source as it was then.

    Raises:
        ReleaseError: if this library has no such network.
    """
    alpha = float(facts.pop("alpha", 0))
    old = bool(facts.pop("before_july_2019", False))
    for network in (networks.generator, networks.discriminator, networks.average):
        if network is not None:  # newer versions of the source have the name of the wrapped layer, older ones do not
            network.rename(lambda name: name.replace(".module.", "."))
    generator = networks.any_generator()
    scales = 1 + max(
        (int(name.split(".")[1]) for name in generator.state if name.startswith("scaleLayers.")), default=-1
    )
    if scales < 1:
        raise ReleaseError(f"{generator.label} draws 4x4 images; the zoo's begins at 8x8")
    _check_fade(alpha, scales, networks)
    depths = [generator.take(f"toRGBLayers.{i}.weight").shape[1] for i in range(scales + 1)]
    widths = _widths(depths, generator.label)
    classes = int(facts.pop("num_classes", 0))
    inputs = generator.take("formatLayer.weight").shape[1]
    if networks.discriminator is not None:
        outputs = len(networks.discriminator.take("decisionLayer.weight"))
        if outputs != 1 + classes:
            raise ReleaseError(
                f"{networks.discriminator.label} gives {outputs} numbers for each image; if {outputs - 1} of them are "
                f"classes, of one attribute, give num_classes={outputs - 1}"
            )
    arguments = {
        "resolution": 4 * 2**scales,
        "channels": len(generator.take("toRGBLayers.0.weight")),
        "latent_dim": inputs - classes,
        "width": widths.most,
        "width_base": widths.base,
        "num_classes": classes,
        "variant": "pytorch_GAN_zoo_old" if old else "pytorch_GAN_zoo",
    }
    conversion = Conversion(ProGAN, arguments, images_seen=partial(_images_seen, alpha))
    if networks.generator is not None:
        conversion.generator = _generator(networks.generator, scales)
    if networks.average is not None:
        conversion.average = _generator(networks.average, scales)
    if networks.discriminator is not None:
        conversion.discriminator = _discriminator(networks.discriminator, scales)
    return conversion


def _check_fade(alpha: float, scales: int, networks: Networks) -> None:
    """Check that this library computes what the source does at this moment of a fade.

    Args:
        alpha: the source's weight of the previous resolution.
        scales: number of doublings of the source's networks.
        networks: the networks of the source.

    Raises:
        ReleaseError: if it does not.
    """
    if not 0 <= alpha <= 1:
        raise ReleaseError(f"alpha, the source's weight of the previous resolution, lies in [0, 1]; got {alpha:g}")
    if alpha and scales == 1 and networks.discriminator is not None:
        raise ReleaseError(
            f"{networks.discriminator.label} is from the fade to 8x8, in which the source's discriminator does not mix "
            "the two resolutions, as its generator does. Convert a later checkpoint, or the generator alone"
        )


def _images_seen(alpha: float, model: GAN) -> int:
    """Return the images after which the model is where the source was: at the end of its growth, or in the last fade.

    Args:
        alpha: the source's weight of the previous resolution.
        model: the converted model.

    Raises:
        ReleaseError: if the model has no fade, by its settings.
    """
    assert isinstance(model, ProGAN)
    growth = model.growth
    if not alpha:
        return growth.end
    if not growth.fade or not growth.doublings:
        raise ReleaseError(
            f"alpha={alpha:g} is a moment in a fade, and these settings have none: leave fade_images and "
            "initial_resolution out"
        )
    # From the first image on: at the very beginning the model still works at the previous resolution.
    return growth.switched_on[-1] + max(1, round((1 - alpha) * growth.fade))


def _widths(depths: list[int], label: str) -> Widths:
    """Return the two numbers by which this library describes a list of widths.

    Args:
        depths: number of channels at 4, 8, 16, ... pixels.
        label: name of the network, for error messages.

    Raises:
        ReleaseError: if no two numbers describe these widths.
    """
    sizes = [4 * 2**i for i in range(len(depths))]
    widths = Widths(max(depths[-1] << (sizes[-1].bit_length() - 2), max(depths)), max(depths))
    if [widths.at(size) for size in (2, *sizes)] != [depths[0], *depths]:
        raise ReleaseError(
            f"{label} has widths {depths} from 4x4 on; the zoo's are one number that is halved with every doubling of "
            "the size, up to a largest width, so these are not possible"
        )
    return widths


def _layer(
    tensors: Tensors, source: str, target: str, gain: float = math.sqrt(2), inputs: int = 0
) -> dict[str, Tensor]:
    """Convert a layer.

    The source computes c (W x + b) with c = sqrt(2 / fan-in), our layer (gain / sqrt(fan-in)) W' x + b'.

    Args:
        tensors: tensors of the source.
        source: name of the layer in the source.
        target: name of the layer in this library.
        gain: gain of our layer.
        inputs: number of input channels of our layer if it has more than the source's; 0 otherwise.

    Returns:
        Weight and bias by this library's names.
    """
    weight, bias = tensors.take(f"{source}.weight"), tensors.take(f"{source}.bias")
    positions = weight[0, 0].numel()  # of the kernel
    constant = math.sqrt(2 / (weight.shape[1] * positions))
    scale = gain / math.sqrt((inputs or weight.shape[1]) * positions)
    return {f"{target}.weight": weight * (constant / scale), f"{target}.bias": bias * constant}


def _generator(tensors: Tensors, scales: int) -> dict[str, Tensor]:
    state = _layer(tensors, "formatLayer", "dense", gain=math.sqrt(2) / 4)
    state["dense.bias"] = state["dense.bias"].view(-1, 4, 4)
    state |= _layer(tensors, "groupScale0.0", "first")
    for i in range(scales + 1):
        state |= _layer(tensors, f"toRGBLayers.{i}", f"to_rgb.{i}", gain=1.0)
    for i in range(scales):
        for j in (0, 1):
            state |= _layer(tensors, f"scaleLayers.{i}.{j}", f"blocks.{i}.{j}")
    return state


def _discriminator(tensors: Tensors, scales: int) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for i in range(scales + 1):
        state |= _layer(tensors, f"fromRGBLayers.{i}", f"from_rgb.{i}")
    for i in range(scales):
        for j in (0, 1):
            state |= _layer(tensors, f"scaleLayers.{i}.{j}", f"blocks.{i}.{j}")
    before = tensors.take("groupScaleZero.0.weight")
    if before.shape[1] == len(before):  # without minibatch stddev: its weights in our layer are 0
        state |= _layer(tensors, "groupScaleZero.0", "last", inputs=before.shape[1] + 1)
        padded = before.new_zeros(len(before), before.shape[1] + 1, 3, 3)
        padded[:, :-1] = state["last.weight"]
        state["last.weight"] = padded
    else:
        state |= _layer(tensors, "groupScaleZero.0", "last")
    state |= _layer(tensors, "groupScaleZero.1", "dense")
    return state | _layer(tensors, "decisionLayer", "readout", gain=1.0)
