"""The images of a data set, in memory or in a memory map, and their split into a training part and a held-out part."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from zoo.data.facts import Facts
from zoo.data.rows import ImageRows, squares_averaged
from zoo.errors import DataError
from zoo.io.entries import read_entry
from zoo.io.files import atomic_write
from zoo.io.room import mapped_array
from zoo.training.batch import Batch


@dataclass(frozen=True)
class Pool:
    """The decoded images of a data set at training resolution.

    Args:
        images: images (N, H, W, C) of uint8, or of float32 in [-1, 1] for points in the plane; `ImageRows` for images
            that are decoded when they are asked for.
        labels: class indices (N,) of int64, or None.
        digest: digest of the content.
        held_out: indices of the images that the publisher reserves for testing, or None if there is no such split.
        class_names: names of the classes, empty if they are not known.
        groups: group numbers (N,) of int64; images with the same number show the same thing and stay together in a
            split. None if there are no groups.
        facts: facts about the decoded images; those of no image if they were not files.
        left_out: numbers of files that are not among the images, by the reason, in words that follow a number.
        kept: place (N,) of each image among the files that were to be decoded; None if there are no files.
    """

    images: NDArray[np.uint8] | NDArray[np.float32] | ImageRows
    labels: NDArray[np.int64] | None
    digest: str
    held_out: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    groups: NDArray[np.int64] | None = None
    facts: Facts = field(default_factory=Facts)
    left_out: Mapping[str, int] = field(default_factory=dict)
    kept: NDArray[np.int64] | None = None
    _smaller: dict[int, NDArray[Any] | ImageRows] = field(default_factory=dict, repr=False, compare=False)

    def at(self, resolution: int) -> NDArray[np.uint8] | NDArray[np.float32] | ImageRows:
        """Return all images at a resolution (N, R, R, C), as averages over squares of pixels.

        They are computed at the first call. Those of a memory map are stored in a file beside it, for later runs.

        Args:
            resolution: R in pixels, a divisor of the pool's resolution.
        """
        if resolution == self.images.shape[1]:
            return self.images
        if resolution not in self._smaller:
            images = self.images
            self._smaller[resolution] = (
                images.at(resolution) if isinstance(images, ImageRows) else downsample(images, resolution)
            )
        return self._smaller[resolution]


def downsample(images: NDArray[Any], resolution: int) -> NDArray[Any]:
    """Average images over squares of pixels, a thousand images at a time; averages of uint8 are rounded.

    Args:
        images: images (N, H, H, C); the result for a memory map is stored in a file beside it.
        resolution: R, a divisor of H.

    Returns:
        Images (N, R, R, C) of the same type.
    """
    shape = (len(images), resolution, resolution, images.shape[3])
    path = None
    if isinstance(images, np.memmap) and images.filename is not None:
        path = Path(images.filename).with_name(f"images_{resolution}.npy")
        known = read_entry(path, lambda path: np.load(path, mmap_mode="r"))
        if known is not None:
            return cast("NDArray[Any]", known)
    if path is None:
        return _fill(np.empty(shape, images.dtype), images)
    with atomic_write(path) as scratch:
        result = mapped_array(scratch, shape, images.dtype)
        cast("np.memmap[Any, Any]", _fill(result, images)).flush()
    return cast("NDArray[Any]", np.load(path, mmap_mode="r"))


def _fill(result: NDArray[Any], images: NDArray[Any]) -> NDArray[Any]:
    for first in range(0, len(images), 1000):
        result[first : first + 1000] = squares_averaged(images[first : first + 1000], result.shape[1])
    return result


def content_digest(*arrays: NDArray[np.generic]) -> str:
    """Return a digest of the bytes, shapes and types of arrays that are small enough to be in memory."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def to_float(images: Tensor) -> Tensor:
    """Convert images of uint8 in 0..255 to float32 in [-1, 1]; images of float are returned unchanged."""
    return images.float().mul_(1 / 127.5).sub_(1.0) if images.dtype == torch.uint8 else images


class Split(Dataset[tuple[Tensor, int]]):
    """A part of a pool, as a torch data set and as batches by index.

    `split[i]` is a pair of an image (C, H, W), float in [-1, 1], and its label; without labels, the label is -1.

    Args:
        pool: all images of the data set.
        indices: indices (M,) of the images in this part.
    """

    def __init__(self, pool: Pool, indices: NDArray[np.int64]) -> None:
        self.pool, self.indices = pool, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        batch = self.batch(torch.tensor([i]))
        return to_float(batch.images)[0], -1 if batch.labels is None else int(batch.labels[0])

    def batch(self, chosen: Tensor, resolution: int | None = None) -> Batch:
        """Return images by index, in the type in which they are stored.

        Args:
            chosen: indices (B,) within this part.
            resolution: height and width in pixels, a divisor of the pool's resolution; None for the pool's own.

        Returns:
            Images (B, C, H, W), channels_last in memory, and labels (B,) or None.
        """
        indices = self.indices[chosen.numpy()]
        source = self.pool.images if resolution is None else self.pool.at(resolution)
        images = torch.from_numpy(source[indices]).permute(0, 3, 1, 2)
        labels = None if self.pool.labels is None else torch.from_numpy(self.pool.labels[indices])
        return Batch(images, labels)

    def tensor(self, limit: int | None = None) -> Tensor:
        """Return the first `limit` images, or all, as one tensor (M, C, H, W), float in [-1, 1]."""
        count = len(self) if limit is None else min(limit, len(self))
        return to_float(self.batch(torch.arange(count)).images)


def split_pool(pool: Pool, held_out: float, seed: int) -> tuple[Split, Split]:
    """Split a pool into a training part and a held-out part.

    The publisher's split is used if there is one, otherwise a random one. A group is held out completely or not at all.

    Args:
        pool: all images.
        held_out: share of the images if below 1, otherwise their number, which groups may not reach exactly; unused if
            the publisher has a split.
        seed: seed of the random split.

    Returns:
        The training part and the held-out part.

    Raises:
        DataError: if images are to be held out and every group is larger than their number.
    """
    size = len(pool.images)
    if pool.held_out is not None:
        reserved = pool.held_out
    else:
        count = int(held_out * size) if held_out < 1 else int(held_out)
        if pool.groups is None:
            reserved = np.random.default_rng(seed).permutation(size)[:count].astype(np.int64)
        else:
            reserved = sample_groups(pool.groups, count, seed)
    kept = np.ones(size, dtype=bool)
    kept[reserved] = False
    return Split(pool, np.flatnonzero(kept)), Split(pool, np.sort(reserved))


def sample_groups(groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Draw complete groups at random until no further group fits into a number of images.

    Args:
        groups: group numbers (N,).
        count: largest number of images.
        seed: seed of the order in which groups are drawn.

    Returns:
        Indices of the images in the drawn groups, at most `count`, in ascending order.

    Raises:
        DataError: if every group is larger than `count`.
    """
    numbers, sizes = np.unique(groups, return_counts=True)
    if count and sizes.min() > count:
        raise DataError(
            f"{count:,} held-out images have no room for a group: the smallest of {len(numbers):,} groups has "
            f"{sizes.min():,} images. Hold out more (data.held_out), or make smaller groups (data.group)"
        )
    chosen: list[int] = []
    remaining = count
    for i in np.random.default_rng(seed).permutation(len(numbers)):
        if sizes[i] <= remaining:
            chosen.append(int(numbers[i]))
            remaining -= int(sizes[i])
    return np.flatnonzero(np.isin(groups, chosen))
