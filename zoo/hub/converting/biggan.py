"""Convert BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch (BigGAN.py, BigGANdeep.py, layers.py).

The source stores the left singular vector `u0` of a spectrally normalised weight, and also makes a power iteration in
eval mode, without storing the result. Our layers store the right singular vector, which that iteration computes first:
`v = W^T u`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.errors import ReleaseError
from zoo.hub.converting.tensors import Conversion, Networks, Tensors
from zoo.models.biggan import GENERATOR_WIDTHS, BigGAN
from zoo.models.biggan_deep import BigGANDeep

EPSILON = 1e-5
"""Epsilon of the last batch norm in the source's code, which the setting for the others does not affect."""
ATTENTION = {"theta": "query", "phi": "key", "g": "value", "o": "output"}


def convert(networks: Networks, facts: dict[str, Any]) -> Conversion:
    """Convert a BigGAN or a BigGAN-deep.

    Args:
        networks: the networks of the source.
        facts: `epsilon` (BN_eps) if it is not the source's default, 1e-5.

    Raises:
        ReleaseError: if this library has no such network.
    """
    generator = networks.any_generator()
    for network in (networks.generator, networks.discriminator, networks.average):
        if network is not None:
            # Singular values for the log, further singular vectors, and counters of standing statistics
            network.drop(lambda name: name.rpartition(".")[2].startswith(("sv", "u1", "u2", "accumulation")))
    if "linear.u0" not in generator:
        raise ReleaseError(f"{generator.label} has no spectral norm (linear.u0); the zoo's BigGAN always has")
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
    conversion = Conversion(BigGANDeep if deep else BigGAN, arguments)
    for name in ("generator", "average"):
        tensors: Tensors | None = getattr(networks, name)
        if tensors is not None:
            setattr(conversion, name, _generator(tensors, stages, deep, shared, arguments["epsilon"]))
    if networks.discriminator is not None:
        conversion.discriminator = _discriminator(networks.discriminator, deep)
    return conversion


def _attention(networks: Networks, stages: int, deep: bool) -> int:
    """Return the height of the feature maps to which attention is applied, or 0 without attention.

    Raises:
        ReleaseError: if there is attention at several sizes.
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
            f"there is attention at {sorted(sizes)} px; the zoo's BigGAN has it at one size, in both networks"
        )
    return sizes.pop() if sizes else 0


def spectral(tensors: Tensors, source: str, target: str) -> dict[str, Tensor]:
    """Convert a spectrally normalised layer.

    Args:
        tensors: tensors of the source.
        source: name of the layer in the source.
        target: name of the layer in this library.

    Returns:
        Weight, singular vector and, if there is one, bias by this library's names.
    """
    weight = tensors.take(f"{source}.weight")
    v = (tensors.take(f"{source}.u0") @ weight.flatten(1)).flatten()
    state = {f"{target}.weight": weight, f"{target}.v": (v / v.norm()).view(weight.shape[1:])}
    if f"{source}.bias" in tensors:
        state[f"{target}.bias"] = tensors.take(f"{source}.bias")
    return state


def _statistics(tensors: Tensors, source: str, target: str) -> dict[str, Tensor]:
    """Convert running mean and variance, which the three kinds of batch norm in the source store with three names."""
    for mean, var in (
        ("stored_mean", "stored_var"),
        ("bn.stored_mean", "bn.stored_var"),
        ("bn.running_mean", "bn.running_var"),
    ):
        if f"{source}.{mean}" in tensors:
            state = {
                f"{target}.running_mean": tensors.take(f"{source}.{mean}"),
                f"{target}.running_var": tensors.take(f"{source}.{var}"),
            }
            if f"{source}.bn.num_batches_tracked" in tensors:
                tensors.take(f"{source}.bn.num_batches_tracked")
            return {**state, f"{target}.num_batches_tracked": torch.tensor(0)}
    raise ReleaseError(
        f"{tensors.label} has no statistics of {source}: only batch norm is converted, no other norm_style"
    )


def _generator(tensors: Tensors, stages: int, deep: bool, shared: bool, epsilon: float) -> dict[str, Tensor]:
    state = {"embed.weight": tensors.take("shared.weight")} if shared else {}
    stem = spectral(tensors, "linear", "stem")
    for name in ("stem.weight", "stem.bias"):  # channels vary slowest in the source, positions in our layer
        stem[name] = stem[name].view(-1, 16, *stem[name].shape[1:]).transpose(0, 1).flatten(0, 1).contiguous()
    state |= stem
    for i in range(2 * stages if deep else stages):
        source, target = f"blocks.{i}.0", f"blocks.{i}"
        for j in range(1, 5 if deep else 3):
            state |= spectral(tensors, f"{source}.conv{j}", f"{target}.conv{j}")
            state |= _statistics(tensors, f"{source}.bn{j}", f"{target}.norm{j}.norm")
            for part in ("gain", "bias"):
                if shared:
                    state |= spectral(tensors, f"{source}.bn{j}.{part}", f"{target}.norm{j}.{part}")
                else:
                    state[f"{target}.norm{j}.{part}.weight"] = tensors.take(f"{source}.bn{j}.{part}.weight")
        if not deep:
            state |= spectral(tensors, f"{source}.conv_sc", f"{target}.shortcut")
        if f"blocks.{i}.1.gamma" in tensors:
            state |= _attention_layer(tensors, f"blocks.{i}.1", f"attention.{i}")
    state |= _statistics(tensors, "output_layer.0", "norm")
    state["norm.running_var"] = state["norm.running_var"] + (EPSILON - epsilon)
    last = spectral(tensors, "output_layer.2", "to_image")
    gain, bias = tensors.take("output_layer.0.gain"), tensors.take("output_layer.0.bias")
    return state | {"norm.weight": gain, "norm.bias": bias} | first_channels(last, "norm", gain, bias)


def first_channels(last: dict[str, Tensor], norm: str, gain: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Convert a last convolution of which only three outputs are used into one with three outputs.

    The source divides the weight by the spectral norm of all outputs, our layer by that of three. ReLU commutes with
    multiplication by a positive number, so the ratio of the norms is multiplied into gain and bias of the batch norm
    before it.

    Args:
        last: weight, bias and singular vector of the convolution by our names.
        norm: our name of the batch norm.
        gain: gain of the batch norm.
        bias: bias of the batch norm.

    Returns:
        The tensors by our names; those of the batch norm only if the convolution has more than three outputs.
    """
    weight, v = last["to_image.weight"], last["to_image.v"]
    if len(weight) <= 3:
        return last
    ratio = (weight[:3].flatten(1) @ v.flatten()).norm() / (weight.flatten(1) @ v.flatten()).norm()
    kept = {name: tensor if name == "to_image.v" else tensor[:3] for name, tensor in last.items()}
    return {**kept, f"{norm}.weight": gain * ratio, f"{norm}.bias": bias * ratio}


def _attention_layer(tensors: Tensors, source: str, target: str) -> dict[str, Tensor]:
    state = {f"{target}.gamma": tensors.take(f"{source}.gamma").squeeze()}
    for source_name, name in ATTENTION.items():
        state |= spectral(tensors, f"{source}.{source_name}", f"{target}.{name}")
    return state


def _discriminator(tensors: Tensors, deep: bool) -> dict[str, Tensor]:
    state = spectral(tensors, "input_conv", "body.0") if deep else {}
    first = int(deep)  # BigGAN-deep has a convolution before the blocks
    layers = sorted({tuple(map(int, name.split(".")[1:3])) for name in tensors.state if name.startswith("blocks.")})
    for number, (i, j) in enumerate(layers, start=first):
        source, target = f"blocks.{i}.{j}", f"body.{number}"
        if f"{source}.gamma" in tensors:
            state |= _attention_layer(tensors, source, target)
            continue
        for k in range(1, 5 if deep else 3):
            state |= spectral(tensors, f"{source}.conv{k}", f"{target}.conv{k}")
        if f"{source}.conv_sc.weight" in tensors:
            state |= spectral(tensors, f"{source}.conv_sc", f"{target}.{'joined' if deep else 'shortcut'}")
    state |= spectral(tensors, "linear", "readout.linear")
    return state | spectral(tensors, "embed", "readout.embed")
