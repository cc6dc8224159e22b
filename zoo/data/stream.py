"""The order of training images, a pure function of the seed and of the number of images seen.

The training images, shuffled again for every epoch, form one endless sequence, and a batch is the next part of it.
Therefore no image is dropped at the end of an epoch, a resumed run continues with the image that the interrupted run
would have shown next, and several processes together see the images that one process would see with the joined batch.

Images that are decoded as they are read are shuffled by `ChunkStream`, which reads those that lie together together.
It is a function of the seed and of the number of images seen as well: there is no buffer whose content would be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
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


class ChunkStream(Stream):
    """A `Stream` that keeps images that lie together near each other, for images that are not in memory.

    For every epoch the chunks are put in a random order. Their images, one chunk after the other, are cut into windows,
    and the images of a window are shuffled among each other. So a window shows images from all over the set, and to
    read it takes the chunks of that window alone. The memory grows with the number of chunks and the size of a window,
    not with the number of images.

    Args:
        starts: index (K,) of the first image of each chunk, ascending from 0.
        window: number of images that are shuffled among each other.
        size: number of training images.
        batch_size: batch size of one process, as in `Stream`.
        options: further arguments of `Stream`.
    """

    def __init__(
        self,
        starts: NDArray[np.int64],
        window: int,
        size: int,
        batch_size: int | Callable[[int], int],
        **options: int,
    ) -> None:
        super().__init__(size, batch_size, **options)
        self.starts, self.window = starts, window
        self.lengths = np.diff(starts, append=size)
        self._chunks: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None
        self._windows: dict[tuple[int, int], Tensor] = {}

    def between(self, first: int, last: int) -> Tensor:
        """Return the image indices (last - first,) at positions first..last-1 of the endless sequence."""
        pieces = []
        while first < last:
            epoch, position = divmod(first, self.size)
            number, offset = divmod(position, self.window)
            piece = self.shuffled(epoch, number)[offset : offset + last - first]
            pieces.append(piece)
            first += len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def order(self, epoch: int) -> Tensor:
        """Return the permutation (size,) of an epoch."""
        return torch.cat([self.shuffled(epoch, number) for number in range(-(-self.size // self.window))])

    def shuffled(self, epoch: int, number: int) -> Tensor:
        """Return the indices of the images in a window of an epoch, shuffled; the last window may be smaller."""
        if (epoch, number) not in self._windows:
            chunks, ends = self._chunks_of(epoch)
            begin, end = number * self.window, min((number + 1) * self.window, self.size)
            first, last = np.searchsorted(ends, [begin, end - 1], side="right")
            members = np.concatenate(
                [np.arange(self.starts[k], self.starts[k] + self.lengths[k]) for k in chunks[first : last + 1]]
            )
            skipped = begin - int(ends[first] - self.lengths[chunks[first]])
            kept = torch.from_numpy(members[skipped : skipped + end - begin])
            generator = torch.Generator().manual_seed(derive_seed("window", self.seed, epoch, number))
            self._windows = {(epoch, number): kept[torch.randperm(len(kept), generator=generator)]}
        return self._windows[epoch, number]

    def _chunks_of(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the order (K,) of the chunks in an epoch, and the position (K,) at which each of them ends."""
        if self._chunks is None or self._chunks[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed("chunks", self.seed, epoch))
            chunks = torch.randperm(len(self.starts), generator=generator).numpy()
            self._chunks = epoch, chunks, np.cumsum(self.lengths[chunks])
        return self._chunks[1:]
