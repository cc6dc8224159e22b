"""All images of a data set in memory or in a memory map, and its two parts: what is trained on and what is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from zoo.errors import DataError
from zoo.io.files import atomic_write
from zoo.training.batch import Batch


@dataclass(frozen=True)
class Pool:
    """Decoded images of one data set at training resolution.

    Args:
        images: (N, H, W, C) uint8, or (N, H, W, C) float32 in [-1, 1] for point sets.
        labels: (N,) int64 class indices, or None.
        digest: identifies the content.
        held_out: indices that the data set's publisher reserves for testing, or None when there is no such split.
        class_names: of the labels, where known.
        groups: (N,) int64; images of one number show one thing and stay together in a split. None: all stand alone.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64] | None
    digest: str
    held_out: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    groups: NDArray[np.int64] | None = None
    _smaller: dict[int, NDArray[Any]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, resolution: int) -> NDArray[np.uint8] | NDArray[np.float32]:
        """All images at a smaller resolution, (N, R, R, C): averages over boxes of pixels, of uint8 rounded once.

        Made when first asked for; of a memory map in a file beside it, so that the next start finds it.
        """
        if resolution == self.images.shape[1]:
            return self.images
        if resolution not in self._smaller:
            self._smaller[resolution] = shrunk(self.images, resolution)
        return self._smaller[resolution]


def shrunk(images: NDArray[Any], resolution: int) -> NDArray[Any]:
    """Images (N, H, W, C) averaged over boxes to (N, R, R, C) of the same type, a thousand at a time."""
    shape = (len(images), resolution, resolution, images.shape[3])
    path = None
    if isinstance(images, np.memmap) and images.filename is not None:
        path = Path(images.filename).with_name(f"images_{resolution}.npy")
        if path.exists():
            return cast("NDArray[Any]", np.load(path, mmap_mode="r"))
    if path is None:
        return _fill(np.empty(shape, images.dtype), images)
    with atomic_write(path) as scratch:
        result = np.lib.format.open_memmap(scratch, mode="w+", dtype=images.dtype, shape=shape)
        cast("np.memmap[Any, Any]", _fill(result, images)).flush()
    return cast("NDArray[Any]", np.load(path, mmap_mode="r"))


def _fill(result: NDArray[Any], images: NDArray[Any]) -> NDArray[Any]:
    resolution, factor = result.shape[1], images.shape[1] // result.shape[1]
    for first in range(0, len(images), 1000):
        part = images[first : first + 1000].astype(np.float32)
        means = part.reshape(len(part), resolution, factor, resolution, factor, -1).mean((2, 4))
        result[first : first + 1000] = np.rint(means) if images.dtype == np.uint8 else means
    return result


def content_digest(*arrays: NDArray[np.generic]) -> str:
    """Digest of arrays' bytes, shapes and types; for sets small enough to be read whole."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def to_float(images: Tensor) -> Tensor:
    """Float32 in [-1, 1] from uint8 in 0..255; float images pass unchanged."""
    return images.float().mul_(1 / 127.5).sub_(1.0) if images.dtype == torch.uint8 else images


class Split(Dataset[tuple[Tensor, int]]):
    """One part of a pool, as a torch data set and as batches by index.

    `split[i]` is (image (C, H, W) float in [-1, 1], label); the label is -1 where there are none.

    Args:
        pool: the images.
        indices: (M,) which of them belong to this part.
    """

    def __init__(self, pool: Pool, indices: NDArray[np.int64]) -> None:
        self.pool, self.indices = pool, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        batch = self.batch(torch.tensor([i]))
        return to_float(batch.images)[0], -1 if batch.labels is None else int(batch.labels[0])

    def batch(self, chosen: Tensor, resolution: int | None = None) -> Batch:
        """The images at places `chosen` (B,) of this part, not yet converted: (B, C, H, W), channels_last in memory.

        Args:
            chosen: places within this part.
            resolution: smaller than the pool's, by a whole factor, or None for the pool's own.
        """
        rows = self.indices[chosen.numpy()]
        source = self.pool.images if resolution is None else self.pool.at(resolution)
        images = torch.from_numpy(source[rows]).permute(0, 3, 1, 2)
        labels = None if self.pool.labels is None else torch.from_numpy(self.pool.labels[rows])
        return Batch(images, labels)

    def tensor(self, limit: int | None = None) -> Tensor:
        """The first `limit` images, or all, as one float tensor (M, C, H, W) in [-1, 1]."""
        count = len(self) if limit is None else min(limit, len(self))
        return to_float(self.batch(torch.arange(count)).images)


def split_pool(pool: Pool, held_out: float, seed: int) -> tuple[Split, Split]:
    """Training and held-out parts; the publisher's split where there is one, else a random one fixed by `seed`.

    Groups are held out whole, as many of them as the size has room for.

    Args:
        pool: all images.
        held_out: share of the images if below 1, otherwise how many; unused where the publisher has a split.
        seed: of the random split.

    Raises:
        DataError: where something shall be held out and every group is larger.
    """
    size = len(pool.images)
    if pool.held_out is not None:
        reserved = pool.held_out
    else:
        count = int(held_out * size) if held_out < 1 else int(held_out)
        if pool.groups is None:
            reserved = np.random.default_rng(seed).permutation(size)[:count].astype(np.int64)
        else:
            reserved = whole_groups(pool.groups, count, seed)
    kept = np.ones(size, dtype=bool)
    kept[reserved] = False
    return Split(pool, np.flatnonzero(kept)), Split(pool, np.sort(reserved))


def whole_groups(groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Indices of at most `count` images, chosen group by group at random, so that none is torn apart."""
    numbers, sizes = np.unique(groups, return_counts=True)
    if count and sizes.min() > count:
        raise DataError(
            f"{count:,} held-out images have no room for a group: the smallest of {len(numbers):,} has "
            f"{sizes.min():,} images. Hold out more (data.held_out), or make smaller groups (data.group)"
        )
    chosen: list[int] = []
    room = count
    for i in np.random.default_rng(seed).permutation(len(numbers)):
        if sizes[i] <= room:
            chosen.append(int(numbers[i]))
            room -= int(sizes[i])
    return np.flatnonzero(np.isin(groups, chosen))
