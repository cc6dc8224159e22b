"""Joined passes: the scores of several batches from one pass of a discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.gan import GAN
from zoo.models.mix.members import with_networks
from zoo.training.batch import Batch


class JoinedBatches:
    """Batches that a discriminator scores in one pass, joined once for all discriminators.

    Args:
        parts: batches of equal image shape.
        joined: the concatenation of `parts`, if the caller has it already.
    """

    def __init__(self, parts: Sequence[Batch], joined: Batch | None = None) -> None:
        self.parts = list(parts)
        self.joined = joined or Batch.join(self.parts)
        self.sizes = [len(part) for part in self.parts]


class JoinedPasses:
    """Stand-in for a discriminator that computes the scores of several batches in one pass.

    A loss calls it with one known batch at a time, member by member, and gets the rows of that batch from a pass over
    all batches joined with it. Images of any other origin, such as the interpolated points of a gradient penalty, go to
    the network as they are. So a loss may call its discriminator in any way; only the number of passes changes.

    Args:
        network: a discriminator.
        groups: the batches that are scored together.
    """

    def __init__(self, network: nn.Module, groups: Sequence[JoinedBatches]) -> None:
        self.network = network
        self._known = {
            id(part.images): (group, index, part) for group in groups for index, part in enumerate(group.parts)
        }
        self._calls: dict[int, int] = {}
        self._outputs: dict[tuple[int, int], tuple[Any, ...]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def begin(self) -> None:
        """Start the loss of another member: its first call with a known batch counts as the first call again.

        Without this distinction a loss that scores one batch twice, to compare two draws of dropout, would get the
        output of one pass twice.
        """
        self._calls.clear()

    def __call__(self, images: Tensor, *arguments: Any) -> Any:
        """Return the rows of the joined pass for the images of a known batch, else the output of the network."""
        group, index, part = self._known.get(id(images), (None, 0, None))
        if group is None or part is None or images is not part.images:
            return self.network(images, *arguments)
        joined = [group.joined.labels if a is not None and a is part.labels else a for a in arguments]
        if any(isinstance(a, Tensor) and a is b for a, b in zip(arguments, joined)):  # a tensor of unknown rows
            return self.network(images, *arguments)
        call = self._calls.get(id(images), 0)
        self._calls[id(images)] = call + 1
        key = (id(group), call)
        if key not in self._outputs:
            self._outputs[key] = rows_of(self.network(group.joined.images, *joined), group.sizes)
        return self._outputs[key][index]

    def pair(self, model: GAN) -> GAN:
        """Return `model` with this stand-in as its discriminator.

        The model asks for the scores of each batch separately, so that the batch is recognised.
        """
        view = with_networks(model, model.generator, model.discriminator, model.average)
        del view.discriminator  # a module; what follows is none
        view.discriminator = cast("nn.Module", self)
        view.couples_batch = True
        return view


def rows_of(output: Any, sizes: list[int]) -> tuple[Any, ...]:
    """Split what a discriminator returned, a tensor or several of them, into the outputs of batches of these sizes."""
    if isinstance(output, Tensor):
        return torch.split(output, sizes)
    return tuple(zip(*(torch.split(part, sizes) for part in output)))
