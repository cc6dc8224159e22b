"""Weights of pytorch-pretrained-biggan (BigGAN-deep of the TF-Hub modules) for `zoo.BigGANDeep`'s generator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

import zoo

BATCH_NORM = {"scale": "gain", "offset": "bias"}
ATTENTION = {"theta": "query", "phi": "key", "g": "value", "o_conv": "output"}


def spectral(state: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """One spectrally normalised layer; both keep the right singular vector as it was after their last iteration."""
    weight = state[f"{theirs}.weight_orig"]
    found = {f"{ours}.weight": weight, f"{ours}.v": state[f"{theirs}.weight_v"].view(weight.shape[1:])}
    if f"{theirs}.bias" in state:
        found[f"{ours}.bias"] = state[f"{theirs}.bias"]
    return found


def statistics(state: dict[str, Tensor], theirs: str, ours: str, truncation: float) -> dict[str, Tensor]:
    """Means and variances for a truncation, interpolated as the peer does: its two weights are the wrong way round."""
    found = {}
    for kind, name in (("means", "running_mean"), ("vars", "running_var")):
        table = state[f"{theirs}.running_{kind}"]
        share, row = math.modf(truncation / (1 / (len(table) - 1)))
        first = table[int(row)]
        found[f"{ours}.{name}"] = first if share == 0 else first * share + table[int(row) + 1] * (1 - share)
    return {**found, f"{ours}.num_batches_tracked": torch.tensor(0)}


def converted(state: dict[str, Tensor], generator: torch.nn.Module, truncation: float) -> dict[str, Tensor]:
    """The peer's state dict as that of `generator`, with the statistics of one truncation.

    The peer's last convolution has more outputs than the three it uses, and its norm is that of all of them. Ours has
    three; as ReLU passes factors through, the ratio of the norms goes into gain and bias of the batch norm before it.
    """
    found = {"embed.weight": state["embeddings.weight"].T}
    found |= spectral(state, "generator.gen_z", "stem")
    peers = sorted({int(name.split(".")[2]) for name in state if name.startswith("generator.layers.")})
    attention = [i for i in peers if f"generator.layers.{i}.gamma" in state]
    for block, i in enumerate(i for i in peers if i not in attention):
        for j in range(4):
            theirs, ours = f"generator.layers.{i}", f"blocks.{block}"
            found |= spectral(state, f"{theirs}.conv_{j}", f"{ours}.conv{j + 1}")
            found |= statistics(state, f"{theirs}.bn_{j}", f"{ours}.norm{j + 1}.norm", truncation)
            for peer_name, name in BATCH_NORM.items():
                found |= spectral(state, f"{theirs}.bn_{j}.{peer_name}", f"{ours}.norm{j + 1}.{name}")
    for i in attention:
        theirs, ours = f"generator.layers.{i}", f"attention.{i - 1}"
        found[f"{ours}.gamma"] = state[f"{theirs}.gamma"].squeeze()
        for peer_name, name in ATTENTION.items():
            found |= spectral(state, f"{theirs}.snconv1x1_{peer_name}", f"{ours}.{name}")
    found |= statistics(state, "generator.bn", "norm", truncation)
    last = spectral(state, "generator.conv_to_rgb", "to_image")
    weight, v = last["to_image.weight"].flatten(1), last["to_image.v"].flatten()
    channels = len(generator.get_parameter("to_image.weight"))
    ratio = (weight[:channels] @ v).norm() / (weight @ v).norm()
    found |= {name: tensor[:channels] if name != "to_image.v" else tensor for name, tensor in last.items()}
    return {**found, **{f"norm.{name}": state[f"generator.bn.{name}"] * ratio for name in ("weight", "bias")}}


def model_like(config: Any) -> zoo.BigGANDeep:
    """A `BigGANDeep` of the sizes in a peer's configuration."""
    return zoo.BigGANDeep(
        resolution=config.output_dim,
        latent_dim=config.z_dim,
        width=config.channel_width,
        num_classes=config.num_classes,
        shared_dim=config.z_dim,
        epsilon=config.eps,
    )
