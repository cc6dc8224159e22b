"""All images of a data set in memory or in a memory map, and its two parts: what is trained on and what is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from zoo.batch import Batch


@dataclass(frozen=True)
class Pool:
    """Decoded images of one data set at training resolution.

    Args:
        images: (N, H, W, C) uint8, or (N, H, W, C) float32 in [-1, 1] for point sets.
        labels: (N,) int64 class indices, or None.
        digest: identifies the content.
        held_out: indices that the data set's publisher reserves for testing, or None when there is no such split.
        class_names: of the labels, where known.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64] | None
    digest: str
    held_out: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()


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

    def batch(self, chosen: Tensor) -> Batch:
        """The images at places `chosen` (B,) of this part, not yet converted: (B, C, H, W), channels_last in memory."""
        rows = self.indices[chosen.numpy()]
        images = torch.from_numpy(self.pool.images[rows]).permute(0, 3, 1, 2)
        labels = None if self.pool.labels is None else torch.from_numpy(self.pool.labels[rows])
        return Batch(images, labels)

    def tensor(self, limit: int | None = None) -> Tensor:
        """The first `limit` images, or all, as one float tensor (M, C, H, W) in [-1, 1]."""
        count = len(self) if limit is None else min(limit, len(self))
        return to_float(self.batch(torch.arange(count)).images)


def split_pool(pool: Pool, held_out: float, seed: int) -> tuple[Split, Split]:
    """Training and held-out parts; the publisher's split where there is one, else a random one fixed by `seed`.

    Args:
        pool: all images.
        held_out: share of the images if below 1, otherwise how many; unused where the publisher has a split.
        seed: of the random split.
    """
    size = len(pool.images)
    if pool.held_out is not None:
        reserved = pool.held_out
    else:
        count = int(held_out * size) if held_out < 1 else int(held_out)
        reserved = np.random.default_rng(seed).permutation(size)[:count].astype(np.int64)
    kept = np.ones(size, dtype=bool)
    kept[reserved] = False
    return Split(pool, np.flatnonzero(kept)), Split(pool, np.sort(reserved))
