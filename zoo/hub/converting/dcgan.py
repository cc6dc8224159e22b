"""Convert DCGANs with 4x4 kernels, of which several libraries have the same network with other names.

The scores of the converted model are raw logits; a source that ends in a sigmoid computes `sigmoid(score)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from zoo.errors import ReleaseError
from zoo.hub.converting.tensors import Conversion, Networks, Tensors
from zoo.models.dcgan import DCGAN, stage_widths

Layers = tuple[list[str], list[str]]
"""Names of the convolutions and of the batch norms of a network, in the order of computation."""


def convert_tutorial(networks: Networks, facts: dict[str, Any]) -> Conversion:
    """Convert a DCGAN of PyTorch's tutorial or `examples/dcgan`: one Sequential, `main.N`."""
    return _convert(networks, _numbered_layers, _numbered_layers)


def convert_bolts(networks: Networks, facts: dict[str, Any]) -> Conversion:
    """Convert a DCGAN of lightning-bolts: a Sequential of Sequentials, `gen.N.0`, `gen.N.1`."""
    return _convert(networks, lambda t: _block_layers(t, "gen"), lambda t: _block_layers(t, "disc"))


def convert_gan_zoo(networks: Networks, facts: dict[str, Any]) -> Conversion:
    """Convert a DCGAN of pytorch_GAN_zoo: named layers; those of the discriminator are numbered from its output."""
    return _convert(networks, _gan_zoo_generator, _gan_zoo_discriminator)


def _numbered_layers(tensors: Tensors) -> Layers:
    numbers = sorted({int(name.split(".")[1]) for name in tensors.state if name.startswith("main.")})
    names = [f"main.{i}" for i in numbers]
    norms = [name for name in names if f"{name}.running_mean" in tensors]
    return [name for name in names if name not in norms], norms


def _block_layers(tensors: Tensors, name: str) -> Layers:
    count = 1 + max((int(key.split(".")[1]) for key in tensors.state if key.startswith(f"{name}.")), default=-1)
    norms = [f"{name}.{i}.1" for i in range(count) if f"{name}.{i}.1.running_mean" in tensors]
    return [f"{name}.{i}.0" for i in range(count)], norms


def _depth(tensors: Tensors) -> int:
    return sum(name.startswith("main.batchNorm") and name.endswith("running_mean") for name in tensors.state)


def _gan_zoo_generator(tensors: Tensors) -> Layers:
    depth = _depth(tensors) - 1
    convolutions = ["formatLayer", *(f"main.convTranspose{i}" for i in range(1, depth + 1)), "main.outlayer"]
    return convolutions, [f"main.batchNorm{i}" for i in range(depth + 1)]


def _gan_zoo_discriminator(tensors: Tensors) -> Layers:
    depth = _depth(tensors)
    inner = [f"main.convTranspose{i}" for i in reversed(range(depth + 1))]  # convolutions, in spite of the name
    return [*inner, "decisionLayer"], [f"main.batchNorm{i}" for i in reversed(range(depth))]


def _convert(
    networks: Networks, generator_layers: Callable[[Tensors], Layers], discriminator_layers: Callable[[Tensors], Layers]
) -> Conversion:
    """Convert a DCGAN whose layers are listed by two functions.

    Raises:
        ReleaseError: if the networks have other numbers of layers, kernel sizes or widths than a `zoo.DCGAN`.
    """
    generator = networks.any_generator()
    convolutions, norms = generator_layers(generator)
    if len(convolutions) < 3 or len(norms) != len(convolutions) - 1:
        raise ReleaseError(
            f"{generator.label} has {len(convolutions)} convolutions and {len(norms)} batch norms; a "
            "DCGAN has one norm less than convolutions, at least three of these"
        )
    first, last = generator.take(f"{convolutions[0]}.weight"), generator.take(f"{convolutions[-1]}.weight")
    if first.shape[2:] != (4, 4) or last.shape[2:] != (4, 4):
        raise ReleaseError(
            f"{generator.label} has kernels of {tuple(last.shape[2:])}; only the 4x4 network is converted"
        )
    resolution, width = 2 ** (len(convolutions) + 1), last.shape[0]
    arguments: dict[str, Any] = {
        "resolution": resolution,
        "channels": last.shape[1],
        "latent_dim": first.shape[0],
        "width": width,
        "kernel_size": 4,
        "latent": "normal",
    }
    widths = [generator.take(f"{name}.weight").shape[1] for name in convolutions[:-1]]
    if widths != stage_widths(resolution, width):
        raise ReleaseError(
            f"{generator.label} has widths {widths}; the zoo's at {resolution} px are "
            f"{stage_widths(resolution, width)}: they double towards 4x4 up to 8 times the last"
        )
    conversion = Conversion(DCGAN, arguments)
    for name in ("generator", "average"):
        tensors: Tensors | None = getattr(networks, name)
        if tensors is not None:
            setattr(conversion, name, _generator(tensors, *generator_layers(tensors)))
    if networks.discriminator is not None:
        layers = discriminator_layers(networks.discriminator)
        conversion.discriminator = _discriminator(networks.discriminator, *layers)
        discriminator_width = conversion.discriminator["body.0.weight"].shape[0]
        arguments["discriminator_channels"] = 0 if discriminator_width == width else discriminator_width
    return conversion


def _generator(tensors: Tensors, convolutions: list[str], norms: list[str]) -> dict[str, Tensor]:
    state = {"stem.1.weight": tensors.take(f"{convolutions[0]}.weight"), **tensors.batch_norm(norms[0], "stem.2")}
    for i, name in enumerate(convolutions[1:]):
        state[f"body.{3 * i}.weight"] = tensors.take(f"{name}.weight")
    for i, name in enumerate(norms[1:]):
        state |= tensors.batch_norm(name, f"body.{3 * i + 1}")
    return state


def _discriminator(tensors: Tensors, convolutions: list[str], norms: list[str]) -> dict[str, Tensor]:
    readout = tensors.take(f"{convolutions[-1]}.weight")
    if len(readout) != 1:
        raise ReleaseError(
            f"{tensors.label} gives {len(readout)} numbers for each image, the zoo's DCGAN one: a discriminator that "
            "also classifies (AC-GAN) cannot be converted. Give the generator alone"
        )
    state = {"body.0.weight": tensors.take(f"{convolutions[0]}.weight"), "readout.weight": readout}
    for i, name in enumerate(convolutions[1:-1]):
        state[f"body.{3 * i + 2}.weight"] = tensors.take(f"{name}.weight")
    for i, name in enumerate(norms):
        state |= tensors.batch_norm(name, f"body.{3 * i + 3}")
    return state
