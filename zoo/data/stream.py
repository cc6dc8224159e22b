"""The order of training images, a pure function of the seed and of the number of images seen.

The training images, shuffled again for every epoch, form one endless sequence, and a batch is the next part of it.
Therefore no image is dropped at the end of an epoch, a resumed run continues with the image that the interrupted run
would have shown next, and several processes together see the images that one process would see with the joined batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from zoo.training.seeding import derive_seed


class Stream:
    """An endless iterator over batches of indices (B,) for one process.

    Args:
        size: number of training images.
        batch_size: B, the batch size of one process, or a function from images seen to B.
        seed: seed of the shuffling.
        start: number of images that all processes have seen before the first batch.
        rank: rank of this process.
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
        """Return the permutation (size,) of an epoch."""
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed("order", self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self.size, generator=generator)
        return self._order

    def between(self, first: int, last: int) -> Tensor:
        """Return the image indices (last - first,) at positions first..last-1 of the endless sequence."""
        pieces = []
        while first < last:
            epoch, position = divmod(first, self.size)
            piece = self.order(epoch)[position : position + last - first]
            pieces.append(piece)
            first += len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def draws(self) -> Iterator[tuple[int, Tensor]]:
        """Yield, for each batch, the number of images that were seen before it, and its indices (B,)."""
        seen = self.start
        while True:
            batch_size = self.batch_size(seen)
            first = seen + self.rank * batch_size
            yield seen, self.between(first, first + batch_size)
            seen += batch_size * self.world_size

    def __iter__(self) -> Iterator[Tensor]:
        return (indices for _, indices in self.draws())
