"""The progressive GAN of pytorch_GAN_zoo (models/networks/progressive_conv_net.py, custom_layers.py).

It scales a layer's output, bias included, where the authors' code and ours scale the weight; it takes the gain sqrt(2)
everywhere; its first bias has a value for each unit; and its minibatch deviation is another (see `zoo.ProGAN.variant`).
Weights and biases are multiplied so that ours computes the same.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from zoo.errors import ReleaseError
from zoo.hub.converting.tensors import Found, Networks, Tensors
from zoo.models.progan import ProGAN
from zoo.models.progan_growth import Widths


def found(networks: Networks, facts: dict[str, Any]) -> Found:
    """The model in the tensors.

    Facts: `num_classes` of a conditional one (AC-GAN with one attribute); `alpha`, which must be 0: a fade has ended.
    """
    if facts.pop("alpha", 0):
        raise ReleaseError(
            "alpha is not 0: this checkpoint is from the middle of a fade, whose two ends the source "
            "mixes in its own way. Convert one from after it"
        )
    for network in (networks.generator, networks.discriminator, networks.average):
        if network is not None:  # newer versions of the source name the wrapped layer, older ones do not
            network.rename(lambda name: name.replace(".module.", "."))
    generator = networks.any_generator()
    scales = 1 + max(
        (int(name.split(".")[1]) for name in generator.state if name.startswith("scaleLayers.")), default=-1
    )
    if scales < 1:
        raise ReleaseError(f"{generator.what} draws 4x4 images; the zoo's begins at 8x8")
    depths = [generator.take(f"toRGBLayers.{i}.weight").shape[1] for i in range(scales + 1)]
    widths = _widths(depths, generator.what)
    classes = int(facts.pop("num_classes", 0))
    inputs = generator.take("formatLayer.weight").shape[1]
    if networks.discriminator is not None:
        outputs = len(networks.discriminator.take("decisionLayer.weight"))
        if outputs != 1 + classes:
            raise ReleaseError(
                f"{networks.discriminator.what} gives {outputs} numbers for each image; if {outputs - 1} of them are "
                f"classes, of one attribute, give num_classes={outputs - 1}"
            )
    arguments = {
        "resolution": 4 * 2**scales,
        "channels": len(generator.take("toRGBLayers.0.weight")),
        "latent_dim": inputs - classes,
        "width": widths.most,
        "width_base": widths.base,
        "num_classes": classes,
        "variant": "pytorch_GAN_zoo",
    }
    result = Found(ProGAN, arguments, images_seen=lambda model: model.growth.end)
    if networks.generator is not None:
        result.generator = _generator(networks.generator, scales)
    if networks.average is not None:
        result.average = _generator(networks.average, scales)
    if networks.discriminator is not None:
        result.discriminator = _discriminator(networks.discriminator, scales)
    return result


def _widths(depths: list[int], what: str) -> Widths:
    """The zoo's two numbers for a row of widths.

    Raises:
        ReleaseError: when there are none.
    """
    sizes = [4 * 2**i for i in range(len(depths))]
    widths = Widths(max(depths[-1] << (sizes[-1].bit_length() - 2), max(depths)), max(depths))
    if [widths.at(size) for size in (2, *sizes)] != [depths[0], *depths]:
        raise ReleaseError(
            f"{what} has widths {depths} from 4x4 on; the zoo's halve with every doubling of the "
            "size, from one number down, so these cannot be had"
        )
    return widths


def _layer(tensors: Tensors, theirs: str, ours: str, gain: float = math.sqrt(2), inputs: int = 0) -> dict[str, Tensor]:
    """One layer: theirs is c * (W x + b), c = sqrt(2 / fan in); ours (gain / sqrt(fan in)) * W' x + b'.

    `inputs` are those of our layer, where it has more.
    """
    weight, bias = tensors.take(f"{theirs}.weight"), tensors.take(f"{theirs}.bias")
    places = weight[0, 0].numel()
    constant = math.sqrt(2 / (weight.shape[1] * places))
    scale = gain / math.sqrt((inputs or weight.shape[1]) * places)
    return {f"{ours}.weight": weight * (constant / scale), f"{ours}.bias": bias * constant}


def _generator(tensors: Tensors, scales: int) -> dict[str, Tensor]:
    found = _layer(tensors, "formatLayer", "dense", gain=math.sqrt(2) / 4)
    found["dense.bias"] = found["dense.bias"].view(-1, 4, 4)
    found |= _layer(tensors, "groupScale0.0", "first")
    for i in range(scales + 1):
        found |= _layer(tensors, f"toRGBLayers.{i}", f"to_rgb.{i}", gain=1.0)
    for i in range(scales):
        for j in (0, 1):
            found |= _layer(tensors, f"scaleLayers.{i}.{j}", f"blocks.{i}.{j}")
    return found


def _discriminator(tensors: Tensors, scales: int) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for i in range(scales + 1):
        found |= _layer(tensors, f"fromRGBLayers.{i}", f"from_rgb.{i}")
    for i in range(scales):
        for j in (0, 1):
            found |= _layer(tensors, f"scaleLayers.{i}.{j}", f"blocks.{i}.{j}")
    before = tensors.take("groupScaleZero.0.weight")
    if before.shape[1] == len(before):  # without a minibatch deviation: ours is given no weight
        found |= _layer(tensors, "groupScaleZero.0", "last", inputs=before.shape[1] + 1)
        padded = before.new_zeros(len(before), before.shape[1] + 1, 3, 3)
        padded[:, :-1] = found["last.weight"]
        found["last.weight"] = padded
    else:
        found |= _layer(tensors, "groupScaleZero.0", "last")
    found |= _layer(tensors, "groupScaleZero.1", "dense")
    return found | _layer(tensors, "decisionLayer", "readout", gain=1.0)
