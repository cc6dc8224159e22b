"""BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch (BigGAN.py, BigGANdeep.py, layers.py).

It keeps the left singular vector `u0` of a spectrally normalised weight and makes one power iteration in eval mode as
well, without storing it; ours keeps the right one, which that iteration begins with: `v = W^T u`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.errors import ReleaseError
from zoo.hub.converting.tensors import Found, Networks, Tensors
from zoo.models.biggan import GENERATOR_WIDTHS, BigGAN
from zoo.models.biggan_deep import BigGANDeep

EPSILON = 1e-5
"""Of the last batch norm in the source's code, whatever is set for the others."""
ATTENTION = {"theta": "query", "phi": "key", "g": "value", "o": "output"}


def found(networks: Networks, facts: dict[str, Any]) -> Found:
    """The model in the tensors. Fact: `epsilon` (BN_eps) where it is not the source's default, 1e-5."""
    generator = networks.any_generator()
    for network in (networks.generator, networks.discriminator, networks.average):
        if (
            network is not None
        ):  # singular values for the log, further singular vectors, counters of standing statistics
            network.drop(lambda name: name.rpartition(".")[2].startswith(("sv", "u1", "u2", "accumulation")))
    if "linear.u0" not in generator:
        raise ReleaseError(f"{generator.what} has no spectral norm (linear.u0); the zoo's BigGAN always has")
    deep = "blocks.0.0.conv4.weight" in generator
    count = 1 + max(int(name.split(".")[1]) for name in generator.state if name.startswith("blocks."))
    stages = count // 2 if deep else count
    resolution, width = 4 * 2**stages, 0
    if resolution in GENERATOR_WIDTHS:
        width = len(generator.take("linear.weight")) // 16 // GENERATOR_WIDTHS[resolution][0]
    shared = "shared.weight" in generator
    inputs, condition = generator.take("linear.weight").shape[1], generator.take("blocks.0.0.bn1.gain.weight").shape[1]
    shared_dim = generator.take("shared.weight").shape[1] if shared else 0
    chunk = condition - shared_dim if shared and not deep else 0
    arguments: dict[str, Any] = {
        "resolution": resolution,
        "width": width,
        "shared_dim": shared_dim,
        "channels": min(3, len(generator.take("output_layer.2.weight"))),
        "num_classes": len(generator.take("shared.weight" if shared else "blocks.0.0.bn1.gain.weight")),
        "attention": _attention(networks, stages, deep),
        "epsilon": facts.get("epsilon", EPSILON),
    }
    if deep:
        arguments["latent_dim"] = inputs - shared_dim
    else:
        arguments |= {"latent_dim": inputs * (stages + 1) if chunk else inputs, "skip_latents": bool(chunk)}
    result = Found(BigGANDeep if deep else BigGAN, arguments)
    for name in ("generator", "average"):
        tensors: Tensors | None = getattr(networks, name)
        if tensors is not None:
            setattr(result, name, _generator(tensors, stages, deep, shared, arguments["epsilon"]))
    if networks.discriminator is not None:
        result.discriminator = _discriminator(networks.discriminator, deep)
    return result


def _attention(networks: Networks, stages: int, deep: bool) -> int:
    """Size of the maps with attention after them; one for both networks.

    Raises:
        ReleaseError: when there are several.
    """
    generator, sizes = networks.any_generator(), set()
    for i in range(stages):
        if f"blocks.{2 * i + 1 if deep else i}.1.gamma" in generator:
            sizes.add(8 * 2**i)
    other = networks.discriminator
    for name in other.state if other is not None else ():
        if name.endswith(".gamma"):
            sizes.add(4 * 2**stages // 2 ** (int(name.split(".")[1]) + 1))
    if len(sizes) > 1:
        raise ReleaseError(
            f"attention stands at {sorted(sizes)} px; the zoo's BigGAN has it at one size, in both networks"
        )
    return sizes.pop() if sizes else 0


def spectral(tensors: Tensors, theirs: str, ours: str) -> dict[str, Tensor]:
    """One spectrally normalised layer."""
    weight = tensors.take(f"{theirs}.weight")
    v = (tensors.take(f"{theirs}.u0") @ weight.flatten(1)).flatten()
    found = {f"{ours}.weight": weight, f"{ours}.v": (v / v.norm()).view(weight.shape[1:])}
    if f"{theirs}.bias" in tensors:
        found[f"{ours}.bias"] = tensors.take(f"{theirs}.bias")
    return found


def _statistics(tensors: Tensors, theirs: str, ours: str) -> dict[str, Tensor]:
    """Running mean and variance; three kinds of batch norm in the source keep them under three names."""
    for mean, var in (
        ("stored_mean", "stored_var"),
        ("bn.stored_mean", "bn.stored_var"),
        ("bn.running_mean", "bn.running_var"),
    ):
        if f"{theirs}.{mean}" in tensors:
            found = {
                f"{ours}.running_mean": tensors.take(f"{theirs}.{mean}"),
                f"{ours}.running_var": tensors.take(f"{theirs}.{var}"),
            }
            if f"{theirs}.bn.num_batches_tracked" in tensors:
                tensors.take(f"{theirs}.bn.num_batches_tracked")
            return {**found, f"{ours}.num_batches_tracked": torch.tensor(0)}
    raise ReleaseError(
        f"{tensors.what} has no statistics of {theirs}: only batch norm is converted, no other norm_style"
    )


def _generator(tensors: Tensors, stages: int, deep: bool, shared: bool, epsilon: float) -> dict[str, Tensor]:
    found = {"embed.weight": tensors.take("shared.weight")} if shared else {}
    stem = spectral(tensors, "linear", "stem")
    for name in ("stem.weight", "stem.bias"):  # theirs counts channels first, ours places first
        stem[name] = stem[name].view(-1, 16, *stem[name].shape[1:]).transpose(0, 1).flatten(0, 1).contiguous()
    found |= stem
    for i in range(2 * stages if deep else stages):
        theirs, ours = f"blocks.{i}.0", f"blocks.{i}"
        for j in range(1, 5 if deep else 3):
            found |= spectral(tensors, f"{theirs}.conv{j}", f"{ours}.conv{j}")
            found |= _statistics(tensors, f"{theirs}.bn{j}", f"{ours}.norm{j}.norm")
            for part in ("gain", "bias"):
                if shared:
                    found |= spectral(tensors, f"{theirs}.bn{j}.{part}", f"{ours}.norm{j}.{part}")
                else:
                    found[f"{ours}.norm{j}.{part}.weight"] = tensors.take(f"{theirs}.bn{j}.{part}.weight")
        if not deep:
            found |= spectral(tensors, f"{theirs}.conv_sc", f"{ours}.shortcut")
        if f"blocks.{i}.1.gamma" in tensors:
            found |= _attention_layer(tensors, f"blocks.{i}.1", f"attention.{i}")
    found |= _statistics(tensors, "output_layer.0", "norm")
    found["norm.running_var"] = found["norm.running_var"] + (EPSILON - epsilon)
    last = spectral(tensors, "output_layer.2", "to_image")
    gain, bias = tensors.take("output_layer.0.gain"), tensors.take("output_layer.0.bias")
    return found | {"norm.weight": gain, "norm.bias": bias} | first_channels(last, "norm", gain, bias)


def first_channels(last: dict[str, Tensor], norm: str, gain: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """A last convolution that keeps three of its outputs, as one with three outputs.

    Its weight is divided by the norm of all of them. As ReLU passes positive factors through, the ratio to the norm of
    three goes into gain and bias of the batch norm before it.
    """
    weight, v = last["to_image.weight"], last["to_image.v"]
    if len(weight) <= 3:
        return last
    ratio = (weight[:3].flatten(1) @ v.flatten()).norm() / (weight.flatten(1) @ v.flatten()).norm()
    kept = {name: tensor if name == "to_image.v" else tensor[:3] for name, tensor in last.items()}
    return {**kept, f"{norm}.weight": gain * ratio, f"{norm}.bias": bias * ratio}


def _attention_layer(tensors: Tensors, theirs: str, ours: str) -> dict[str, Tensor]:
    found = {f"{ours}.gamma": tensors.take(f"{theirs}.gamma").squeeze()}
    for their_name, name in ATTENTION.items():
        found |= spectral(tensors, f"{theirs}.{their_name}", f"{ours}.{name}")
    return found


def _discriminator(tensors: Tensors, deep: bool) -> dict[str, Tensor]:
    found = spectral(tensors, "input_conv", "body.0") if deep else {}
    place = len(found) > 0
    layers = sorted({tuple(map(int, name.split(".")[1:3])) for name in tensors.state if name.startswith("blocks.")})
    for number, (i, j) in enumerate(layers, start=int(place)):
        theirs, ours = f"blocks.{i}.{j}", f"body.{number}"
        if f"{theirs}.gamma" in tensors:
            found |= _attention_layer(tensors, theirs, ours)
            continue
        for k in range(1, 5 if deep else 3):
            found |= spectral(tensors, f"{theirs}.conv{k}", f"{ours}.conv{k}")
        if f"{theirs}.conv_sc.weight" in tensors:
            found |= spectral(tensors, f"{theirs}.conv_sc", f"{ours}.{'joined' if deep else 'shortcut'}")
    found |= spectral(tensors, "linear", "readout.linear")
    return found | spectral(tensors, "embed", "readout.embed")
