"""The loader of training batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from zoo.data.pool import Split
from zoo.data.stream import Stream
from zoo.errors import UserError
from zoo.training.batch import Batch


class Loader:
    """An iterable over training batches for Lightning, beginning at the clock of the start of the iteration.

    It is not a `DataLoader`, because Lightning would change the order of one when there are several processes.

    Args:
        stream: function that returns the stream of indices; it is called at the start of an iteration.
        resolution_at: function from images seen to the resolution of the images in pixels.
        split: training images.
        device: device in whose memory all images are kept; None reads images batch by batch.
        num_workers: number of processes that read batches in advance.
        length: number of batches in an epoch; None for an endless loader.
        finish: function from a batch, and the images seen before it, to the batch that is yielded; None yields the
            images in the type in which they are stored.
    """

    def __init__(
        self,
        stream: Callable[[], Stream],
        resolution_at: Callable[[int], int],
        split: Split,
        device: torch.device | None,
        num_workers: int,
        length: int | None,
        finish: Callable[[Batch, int], Batch] | None = None,
    ) -> None:
        self.stream, self.resolution_at, self.split = stream, resolution_at, split
        self.device, self.num_workers, self.length, self.finish = device, num_workers, length, finish
        self._resident: tuple[int, Batch] | None = None  # a resolution, and all images at it on the device

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("this loader has no end: the run's length is set in images")
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        numbered = islice(self.stream().draws(), self.length)
        draws = ((self.resolution_at(seen), seen, chosen) for seen, chosen in numbered)
        if self.device is not None:
            return (self._gather(resolution, chosen) for resolution, _, chosen in draws)
        reader = _Reader(self.split, self.finish)
        pin = torch.cuda.is_available()
        if not self.num_workers and not pin:
            return (reader[draw] for draw in draws)
        loader = DataLoader(reader, batch_size=None, sampler=draws, num_workers=self.num_workers, pin_memory=pin)
        return _raising(loader)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the position follows from the clock. Lightning resumes only loaders that have this method."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore nothing."""

    def _gather(self, resolution: int, chosen: Tensor) -> Batch:
        if self._resident is None or self._resident[0] != resolution:
            all_images = self.split.batch(torch.arange(len(self.split)), resolution)
            self._resident = resolution, all_images.to(self.device)
        images, labels = self._resident[1].images, self._resident[1].labels
        chosen = chosen.to(images.device, non_blocking=True)
        return Batch(images[chosen], None if labels is None else labels[chosen])


class _Reader(torch.utils.data.Dataset[Batch]):
    """A data set whose items are batches, so that a `DataLoader` reads a batch with one call.

    Args:
        split: training images.
        finish: function that is applied to each batch, as in `Loader`.
    """

    def __init__(self, split: Split, finish: Callable[[Batch, int], Batch] | None = None) -> None:
        self.split, self.finish = split, finish

    def __getitem__(self, draw: tuple[int, int, Tensor]) -> Batch:
        resolution, seen, chosen = draw
        try:
            batch = self.split.batch(chosen, resolution)
        except UserError as error:
            if torch.utils.data.get_worker_info() is None:
                raise
            return _Fault(error)  # type: ignore[return-value]  # raised in the training process, see `_raising`
        return batch if self.finish is None else self.finish(batch, seen)


@dataclass(frozen=True)
class _Fault:
    """A user's mistake that a process of a `DataLoader` found, which would add its traceback to the message."""

    error: UserError


def _raising(batches: Iterable[Batch | _Fault]) -> Iterator[Batch]:
    """Yield batches, and raise the error of the first that could not be read."""
    for batch in batches:
        if isinstance(batch, _Fault):
            raise batch.error
        yield batch
