"""DCGANs with 4x4 kernels, as most ports have them: the same network under several names.

Scores are the zoo's raw logits; ports that end in a sigmoid give `sigmoid(score)`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo.errors import ReleaseError
from zoo.hub.converting.tensors import Found, Networks, Tensors
from zoo.models.dcgan import DCGAN, stage_widths

Layers = tuple[list[str], list[str]]  # names of convolutions and of batch norms, in the order of computing


def found_tutorial(networks: Networks, facts: dict[str, Any]) -> Found:
    """Of PyTorch's tutorial and `examples/dcgan`: one Sequential, `main.N`."""
    return _found(networks, _numbered, _numbered)


def found_bolts(networks: Networks, facts: dict[str, Any]) -> Found:
    """Of lightning-bolts: a Sequential of Sequentials, `gen.N.0`, `gen.N.1`."""
    return _found(networks, lambda t: _blocks(t, "gen"), lambda t: _blocks(t, "disc"))


def found_gan_zoo(networks: Networks, facts: dict[str, Any]) -> Found:
    """Of pytorch_GAN_zoo: named layers, numbered from the image's end in the discriminator."""
    return _found(networks, _gan_zoo_generator, _gan_zoo_discriminator)


def _numbered(tensors: Tensors) -> Layers:
    places = sorted({int(name.split(".")[1]) for name in tensors.state if name.startswith("main.")})
    names = [f"main.{i}" for i in places]
    norms = [name for name in names if f"{name}.running_mean" in tensors]
    return [name for name in names if name not in norms], norms


def _blocks(tensors: Tensors, name: str) -> Layers:
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
    inner = [f"main.convTranspose{i}" for i in reversed(range(depth + 1))]  # they are convolutions all the same
    return [*inner, "decisionLayer"], [f"main.batchNorm{i}" for i in reversed(range(depth))]


def _found(networks: Networks, generator_layers: Any, discriminator_layers: Any) -> Found:
    generator = networks.any_generator()
    convolutions, norms = generator_layers(generator)
    if len(convolutions) < 3 or len(norms) != len(convolutions) - 1:
        raise ReleaseError(
            f"{generator.what} has {len(convolutions)} convolutions and {len(norms)} batch norms; a "
            "DCGAN has one norm less than convolutions, at least three of these"
        )
    first, last = generator.take(f"{convolutions[0]}.weight"), generator.take(f"{convolutions[-1]}.weight")
    if first.shape[2:] != (4, 4) or last.shape[2:] != (4, 4):
        raise ReleaseError(
            f"{generator.what} has kernels of {tuple(last.shape[2:])}; only the 4x4 network is converted"
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
            f"{generator.what} has widths {widths}; the zoo's at {resolution} px are "
            f"{stage_widths(resolution, width)}: they "
            "double towards 4x4 up to 8 times the last"
        )
    found = Found(DCGAN, arguments)
    for name in ("generator", "average"):
        tensors: Tensors | None = getattr(networks, name)
        if tensors is not None:
            setattr(found, name, _generator(tensors, *generator_layers(tensors)))
    if networks.discriminator is not None:
        found.discriminator = _discriminator(networks.discriminator, *discriminator_layers(networks.discriminator))
        other = found.discriminator["body.0.weight"].shape[0]
        arguments["discriminator_channels"] = 0 if other == width else other
    return found


def _generator(tensors: Tensors, convolutions: list[str], norms: list[str]) -> dict[str, Tensor]:
    found = {"stem.1.weight": tensors.take(f"{convolutions[0]}.weight"), **tensors.norm(norms[0], "stem.2")}
    for i, name in enumerate(convolutions[1:]):
        found[f"body.{3 * i}.weight"] = tensors.take(f"{name}.weight")
    for i, name in enumerate(norms[1:]):
        found |= tensors.norm(name, f"body.{3 * i + 1}")
    return found


def _discriminator(tensors: Tensors, convolutions: list[str], norms: list[str]) -> dict[str, Tensor]:
    readout = tensors.take(f"{convolutions[-1]}.weight")
    if len(readout) != 1:
        raise ReleaseError(
            f"{tensors.what} gives {len(readout)} numbers for each image, the zoo's DCGAN one: a discriminator that "
            "also classifies (AC-GAN) cannot be converted. Give the generator alone"
        )
    found = {"body.0.weight": tensors.take(f"{convolutions[0]}.weight"), "readout.weight": readout}
    for i, name in enumerate(convolutions[1:-1]):
        found[f"body.{3 * i + 2}.weight"] = tensors.take(f"{name}.weight")
    for i, name in enumerate(norms):
        found |= tensors.norm(name, f"body.{3 * i + 3}")
    return found
