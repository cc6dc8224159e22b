"""What `peers.py` asks of a peer: networks built by the numbers of a row, and one cycle of training.

The repositories themselves are in `peer_repositories.py`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from peer_importing import importing
from torch import Tensor, nn
from torch.nn import functional as f

import zoo


@dataclass(frozen=True)
class Row:
    """What is measured.

    Args:
        model: name of the zoo's class.
        settings: of the model.
        batch_size: images in a batch.
        peers: by the names of their repositories.
        cycles: cycles in a turn: all discriminator steps and the generator's.
        images_seen: where the clock of the zoo's model stands, which decides on the stage of a ProGAN.
        resolution: of the images that the zoo's model is given, in pixels.
    """

    model: str
    settings: dict[str, Any]
    batch_size: int
    peers: dict[str, type[Peer]]
    cycles: int = 1
    images_seen: int = 0
    resolution: int = 32


class Peer:
    """A repository's networks and train step. Subclasses say how they are imported, built and run.

    Args:
        source: the repository's folder.
        row: the numbers of the networks.
        batches: pairs of contiguous images at the row's full resolution, and labels.
    """

    folders: ClassVar[tuple[str, ...]]
    """Names that the repository's folder may have."""
    address: ClassVar[str]
    """Owner and name of the repository on GitHub."""
    placeholders: ClassVar[tuple[str, ...]] = ()
    """Packages that the repository imports and what is measured does not use; they are replaced by empty ones."""
    notes: ClassVar[tuple[str, ...]] = ()
    """What was worked around, and in what the networks differ while their outputs are compared."""

    steps = 1
    """Steps of the discriminator in a cycle."""
    generator: nn.Module
    discriminator: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]

    def __init__(self, source: Path, row: Row, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        self.row, self.batches = row, itertools.cycle(batches)
        factor = row.settings["resolution"] // row.resolution
        self.shrunk = itertools.cycle([(f.avg_pool2d(images, factor), labels) for images, labels in batches])
        with importing(source, self.placeholders):
            self.build(row.settings)
        for optimizer in self.optimizers:  # else autocast would go on with the weights from before the step
            optimizer.register_step_post_hook(lambda *args: torch.clear_autocast_cache())

    def build(self, settings: dict[str, Any]) -> None:
        """Import the modules, build networks and optimizers."""
        raise NotImplementedError

    def cycle(self) -> None:
        """Take all discriminator steps and the generator's step."""
        raise NotImplementedError

    def draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images of latents (B, Z) and classes (B,)."""
        images: Tensor = self.generator(z)
        return images

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores (B,) of images at the row's resolution."""
        return self.discriminator(images).flatten()

    def as_compared(self) -> AbstractContextManager[Any]:
        """Undo the differences in `notes` while outputs are compared; they are as they are while the peer is timed."""
        return nullcontext()

    def converted(self, settings: dict[str, Any]) -> Any:
        """Return the zoo's model with the peer's weights."""
        model = getattr(zoo, self.row.model)(**settings)
        generator, discriminator = self.renamed(model)
        model.generator.load_state_dict(generator)
        model.discriminator.load_state_dict(discriminator)
        model.average.load_state_dict(generator)
        return model

    def renamed(self, model: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the tensors of both networks by the zoo's names."""
        raise NotImplementedError

    def parameters(self) -> tuple[int, int]:
        """Return the numbers of parameters of generator and discriminator."""
        return count(self.generator.parameters()), count(self.discriminator.parameters())

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next batch, at the row's resolution, to which it was shrunk before anything is timed."""
        return next(self.shrunk)


def count(parameters: Any) -> int:
    """Return the number of values in some parameters."""
    return sum(parameter.numel() for parameter in parameters)


def in_order(source: nn.Module, target: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of one network by the names of another whose layers have the same order."""
    ours, theirs = target.state_dict(), source.state_dict()
    return dict(zip(ours, theirs.values(), strict=True))


def by_names(source: nn.Module, patterns: dict[str, str]) -> dict[str, Tensor]:
    """Return the tensors of a network by other names: each pattern (regular expression) is replaced in turn."""
    state = {}
    for name, tensor in source.state_dict().items():
        for pattern, replacement in patterns.items():
            name = re.sub(pattern, replacement, name)
        state[name] = tensor
    return state


def scaled(source: nn.Module, target: nn.Module, places: dict[str, str]) -> dict[str, Tensor]:
    """Return weights and biases of equalised layers by the names in `places`, for the scales of the target's layers."""
    state = {}
    for theirs, ours in places.items():
        layer, own = source.get_submodule(theirs), target.get_submodule(ours)
        weight = layer.weight.detach() * (layer.scale / own.scale)
        if isinstance(layer, nn.ConvTranspose2d):  # of a 1x1 map: a linear layer
            weight = weight.permute(1, 2, 3, 0).flatten(0, 2)
        state[f"{ours}.weight"], state[f"{ours}.bias"] = weight.reshape(own.weight.shape), layer.bias.detach()
    return state
