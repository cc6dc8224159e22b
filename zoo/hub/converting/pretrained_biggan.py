"""Convert BigGAN-deep generators of huggingface/pytorch-pretrained-biggan, which have DeepMind's TF-Hub weights.

The discriminator was never published. The source stores statistics of batch norm for 51 truncations; a model of this
library has those of one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ReleaseError
from zoo.hub.converting.biggan import first_channels
from zoo.hub.converting.tensors import Conversion, Networks, Tensors
from zoo.models.biggan_deep import BigGANDeep

BATCH_NORM = {"scale": "gain", "offset": "bias"}
ATTENTION = {"theta": "query", "phi": "key", "g": "value", "o_conv": "output"}
EPSILON = 1e-4  # of batch norm, in every configuration that was published with weights


def convert(networks: Networks, facts: dict[str, Any]) -> Conversion:
    """Convert a BigGAN-deep generator.

    Args:
        networks: the networks of the source.
        facts: `truncation` in [0, 1], by default 1, whose statistics of batch norm are taken. Samples of the converted
            model should be drawn with the same truncation, by `scaling`.

    Raises:
        ReleaseError: if this library has no such network, or the truncation is out of range.
    """
    tensors = networks.any_generator()
    truncation = float(facts.pop("truncation", 1.0))
    if not 0 <= truncation <= 1:
        raise ReleaseError(f"truncation of pytorch-pretrained-biggan lies in 0 to 1; got {truncation}")
    tensors.drop(lambda name: name.endswith("weight_u"))  # our layers store only the right singular vector
    layers = sorted({int(name.split(".")[2]) for name in tensors.state if name.startswith("generator.layers.")})
    attention = [i for i in layers if f"generator.layers.{i}.gamma" in tensors]
    blocks = [i for i in layers if i not in attention]
    if len(attention) > 1:
        raise ReleaseError("there is attention at several sizes; the zoo's BigGANDeep has it at one")
    shared_dim, classes = tensors.take("embeddings.weight").shape
    units, condition = tensors.take("generator.gen_z.weight_orig").shape
    arguments = {
        "resolution": 4 * 2 ** (len(blocks) // 2),
        "width": units // 16 // 16,
        "latent_dim": condition - shared_dim,
        "num_classes": classes,
        "shared_dim": shared_dim,
        "epsilon": facts.get("epsilon", EPSILON),
        "attention": 8 * 2 ** (attention[0] // 2 - 1) if attention else 0,
    }
    notes = {
        "statistics": f"batch norm's for truncation {truncation:g}; sample with truncation={truncation:g}, "
        "truncation_by='scaling'"
    }
    return Conversion(BigGANDeep, arguments, _generator(tensors, blocks, attention, truncation), notes=notes)


def _spectral(tensors: Tensors, source: str, target: str) -> dict[str, Tensor]:
    """Convert a spectrally normalised layer, whose right singular vector is stored by both libraries."""
    weight = tensors.take(f"{source}.weight_orig")
    state = {f"{target}.weight": weight, f"{target}.v": tensors.take(f"{source}.weight_v").view(weight.shape[1:])}
    if f"{source}.bias" in tensors:
        state[f"{target}.bias"] = tensors.take(f"{source}.bias")
    return state


def _statistics(tensors: Tensors, source: str, target: str, truncation: float) -> dict[str, Tensor]:
    """Interpolate running means and variances between two truncations, with swapped weights as in the source's code."""
    state = {}
    for kind, name in (("means", "running_mean"), ("vars", "running_var")):
        table = tensors.take(f"{source}.running_{kind}")
        weight, row = math.modf(truncation / (1 / (len(table) - 1)))
        first = table[int(row)]
        state[f"{target}.{name}"] = first if weight == 0 else first * weight + table[int(row) + 1] * (1 - weight)
    return {**state, f"{target}.num_batches_tracked": torch.tensor(0)}


def _generator(tensors: Tensors, blocks: list[int], attention: list[int], truncation: float) -> dict[str, Tensor]:
    state = {"embed.weight": tensors.take("embeddings.weight").T.contiguous()}
    state |= _spectral(tensors, "generator.gen_z", "stem")
    for block, i in enumerate(blocks):
        for j in range(4):
            source, target = f"generator.layers.{i}", f"blocks.{block}"
            state |= _spectral(tensors, f"{source}.conv_{j}", f"{target}.conv{j + 1}")
            state |= _statistics(tensors, f"{source}.bn_{j}", f"{target}.norm{j + 1}.norm", truncation)
            for source_name, name in BATCH_NORM.items():
                state |= _spectral(tensors, f"{source}.bn_{j}.{source_name}", f"{target}.norm{j + 1}.{name}")
    for i in attention:
        source, target = f"generator.layers.{i}", f"attention.{i - 1}"
        state[f"{target}.gamma"] = tensors.take(f"{source}.gamma").squeeze()
        for source_name, name in ATTENTION.items():
            state |= _spectral(tensors, f"{source}.snconv1x1_{source_name}", f"{target}.{name}")
    state |= _statistics(tensors, "generator.bn", "norm", truncation)
    gain, bias = tensors.take("generator.bn.weight"), tensors.take("generator.bn.bias")
    last = _spectral(tensors, "generator.conv_to_rgb", "to_image")
    return state | {"norm.weight": gain, "norm.bias": bias} | first_channels(last, "norm", gain, bias)
