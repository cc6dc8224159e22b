"""BigGAN-deep generators of huggingface/pytorch-pretrained-biggan, which hold DeepMind's TF-Hub weights.

The discriminator was never published. Statistics of batch norm are kept for 51 truncations; a model of the zoo has
those of one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ReleaseError
from zoo.hub.converting.biggan import first_channels
from zoo.hub.converting.tensors import Found, Networks, Tensors
from zoo.models.biggan_deep import BigGANDeep

BATCH_NORM = {"scale": "gain", "offset": "bias"}
ATTENTION = {"theta": "query", "phi": "key", "g": "value", "o_conv": "output"}
EPSILON = 1e-4  # of every configuration that was published with weights


def found(networks: Networks, facts: dict[str, Any]) -> Found:
    """The model in the tensors.

    Facts: `truncation`, from 0 to 1, whose statistics are taken (1 unless given); sample with the same, by `scaling`.
    """
    tensors = networks.any_generator()
    truncation = float(facts.pop("truncation", 1.0))
    if not 0 <= truncation <= 1:
        raise ReleaseError(f"truncation of pytorch-pretrained-biggan lies in 0 to 1; got {truncation}")
    tensors.drop(lambda name: name.endswith("weight_u"))  # ours needs the right singular vector alone
    layers = sorted({int(name.split(".")[2]) for name in tensors.state if name.startswith("generator.layers.")})
    attention = [i for i in layers if f"generator.layers.{i}.gamma" in tensors]
    blocks = [i for i in layers if i not in attention]
    if len(attention) > 1:
        raise ReleaseError("attention stands at several sizes; the zoo's BigGANDeep has it at one")
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
    return Found(BigGANDeep, arguments, _generator(tensors, blocks, attention, truncation), notes=notes)


def _spectral(tensors: Tensors, theirs: str, ours: str) -> dict[str, Tensor]:
    """One spectrally normalised layer; both keep the right singular vector as it was after their last iteration."""
    weight = tensors.take(f"{theirs}.weight_orig")
    found = {f"{ours}.weight": weight, f"{ours}.v": tensors.take(f"{theirs}.weight_v").view(weight.shape[1:])}
    if f"{theirs}.bias" in tensors:
        found[f"{ours}.bias"] = tensors.take(f"{theirs}.bias")
    return found


def _statistics(tensors: Tensors, theirs: str, ours: str, truncation: float) -> dict[str, Tensor]:
    """Means and variances for a truncation, interpolated as the source does: its two shares are swapped."""
    found = {}
    for kind, name in (("means", "running_mean"), ("vars", "running_var")):
        table = tensors.take(f"{theirs}.running_{kind}")
        share, row = math.modf(truncation / (1 / (len(table) - 1)))
        first = table[int(row)]
        found[f"{ours}.{name}"] = first if share == 0 else first * share + table[int(row) + 1] * (1 - share)
    return {**found, f"{ours}.num_batches_tracked": torch.tensor(0)}


def _generator(tensors: Tensors, blocks: list[int], attention: list[int], truncation: float) -> dict[str, Tensor]:
    found = {"embed.weight": tensors.take("embeddings.weight").T.contiguous()}
    found |= _spectral(tensors, "generator.gen_z", "stem")
    for block, i in enumerate(blocks):
        for j in range(4):
            theirs, ours = f"generator.layers.{i}", f"blocks.{block}"
            found |= _spectral(tensors, f"{theirs}.conv_{j}", f"{ours}.conv{j + 1}")
            found |= _statistics(tensors, f"{theirs}.bn_{j}", f"{ours}.norm{j + 1}.norm", truncation)
            for their_name, name in BATCH_NORM.items():
                found |= _spectral(tensors, f"{theirs}.bn_{j}.{their_name}", f"{ours}.norm{j + 1}.{name}")
    for i in attention:
        theirs, ours = f"generator.layers.{i}", f"attention.{i - 1}"
        found[f"{ours}.gamma"] = tensors.take(f"{theirs}.gamma").squeeze()
        for their_name, name in ATTENTION.items():
            found |= _spectral(tensors, f"{theirs}.snconv1x1_{their_name}", f"{ours}.{name}")
    found |= _statistics(tensors, "generator.bn", "norm", truncation)
    gain, bias = tensors.take("generator.bn.weight"), tensors.take("generator.bn.bias")
    last = _spectral(tensors, "generator.conv_to_rgb", "to_image")
    return found | {"norm.weight": gain, "norm.bias": bias} | first_channels(last, "norm", gain, bias)
