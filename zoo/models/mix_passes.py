"""Joined passes: one call of a discriminator for the batches of several members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.batch import Batch


class Together:
    """Batches that a discriminator shall see in one pass, joined once for all discriminators.

    Args:
        parts: the batches.
        joined: they in a row, where that is there already.
    """

    def __init__(self, parts: Sequence[Batch], joined: Batch | None = None) -> None:
        self.parts = list(parts)
        self.joined = joined or Batch.join(self.parts)
        self.sizes = [len(part) for part in self.parts]


class JoinedPasses:
    """Stands in for a discriminator while losses are computed member by member, and computes the scores of all at once.

    A call with the images of a known batch is answered from one pass over everything that belongs together; images of
    any other origin, such as the points between real and generated ones of a gradient penalty, go to the network as
    they are. So a loss may call its discriminator as it likes; only the number of passes changes.

    Args:
        network: a discriminator.
        groups: what is to be joined.
    """

    def __init__(self, network: nn.Module, groups: Sequence[Together]) -> None:
        self.network = network
        self._places = {
            id(part.images): (group, place, part) for group in groups for place, part in enumerate(group.parts)
        }
        self._calls: dict[int, int] = {}
        self._done: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def begin(self) -> None:
        """Start the loss of another member: from now on known batches are seen for the first time again.

        Without this a loss that scores one batch twice, to compare two draws of dropout, would get one pass twice.
        """
        self._calls.clear()

    def __call__(self, images: Tensor, *arguments: Any) -> Any:
        """Rows of the joined pass for the images of a known batch; else the network's own answer."""
        group, place, part = self._places.get(id(images), (None, 0, None))
        if group is None or part is None or images is not part.images:
            return self.network(images, *arguments)
        joined = [group.joined.labels if a is not None and a is part.labels else a for a in arguments]
        if any(isinstance(a, Tensor) and a is b for a, b in zip(arguments, joined)):  # a tensor of unknown rows
            return self.network(images, *arguments)
        call = self._calls.get(id(images), 0)
        self._calls[id(images)] = call + 1
        key = (id(group), call)
        if key not in self._done:
            self._done[key] = torch.split(self.network(group.joined.images, *joined), group.sizes)
        return self._done[key][place]
