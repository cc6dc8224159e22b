"""Which images come next: a pure function of the seed and of how many were seen.

The training images are shuffled anew in every epoch and laid end to end to one endless row. A batch is the next piece
of that row, so no image is dropped at an epoch's end, a resumed run continues with the image the killed one would have
shown, and several processes together see what one process with the joined batch would see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from zoo.training.seeding import derive_seed


class Stream:
    """Endless index batches (B,) for one process.

    Args:
        size: number of training images.
        batch_size: B, for each process; or B as a function of images seen.
        seed: of the shuffling.
        start: images seen by all processes before the first batch.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        size: int,
        batch_size: int | Callable[[int], int],
        *,
        seed: int = 0,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.size, self.seed = size, seed
        self.batch_size = batch_size if callable(batch_size) else lambda seen: batch_size
        self.start, self.rank, self.world_size = start, rank, world_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def order(self, epoch: int) -> Tensor:
        """The permutation (size,) of one epoch."""
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed("order", self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self.size, generator=generator)
        return self._order

    def between(self, first: int, last: int) -> Tensor:
        """Indices at places first..last-1 of the endless row."""
        pieces = []
        while first < last:
            epoch, place = divmod(first, self.size)
            piece = self.order(epoch)[place : place + last - first]
            pieces.append(piece)
            first += len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def draws(self) -> Iterator[tuple[int, Tensor]]:
        """Images seen before each batch, and its indices."""
        seen = self.start
        while True:
            batch_size = self.batch_size(seen)
            first = seen + self.rank * batch_size
            yield seen, self.between(first, first + batch_size)
            seen += batch_size * self.world_size

    def __iter__(self) -> Iterator[Tensor]:
        return (indices for _, indices in self.draws())
