"""Images kept as bytes: in memory while they are small, otherwise in a file that is read row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.pool import Split
from zoo.data.rows import ImageRows
from zoo.errors import UserError
from zoo.io.files import cache_folder

IN_MEMORY = 2**28
"""Largest number of bytes of one set of images that is kept in memory."""


class MappedImages:
    """Images (N, C, H, W) uint8 in a file, indexed as a tensor is. A read leaves nothing of the file in memory.

    Args:
        file: path of the file, or the open file.
        offset: position of the first image in bytes.
        shape: shape (M, H, W, C) of the images in the file, in which the channels come last.
        rows: indices (N,) of the images of this set in the file.
    """

    def __init__(
        self, file: Path | IO[bytes], offset: int, shape: tuple[int, int, int, int], rows: NDArray[np.int64]
    ) -> None:
        self.file, self.offset, self.file_shape, self.rows = file, offset, shape, rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        """The shape (N, C, H, W)."""
        _, height, width, channels = self.file_shape
        return torch.Size((len(self), channels, height, width))

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """Read images (n, C, H, W) by their indices."""
        rows = self.rows[chosen if isinstance(chosen, slice) else chosen.numpy()]
        mapped = np.memmap(self.file, np.uint8, "r", self.offset, self.file_shape)  # unmapped on return
        return torch.from_numpy(np.array(mapped[rows])).permute(0, 3, 1, 2).contiguous()

    def take(self, indices: Tensor) -> MappedImages:
        """Return the images at these indices, without reading them."""
        return MappedImages(self.file, self.offset, self.file_shape, self.rows[indices.numpy()])


class ReadImages:
    """Images (N, C, H, W) uint8 that are decoded each time they are read, indexed as a tensor is.

    Args:
        images: the images (M, H, W, C) of a pool.
        rows: indices (N,) of the images of this set among them.
    """

    def __init__(self, images: ImageRows, rows: NDArray[np.int64]) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> torch.Size:
        """The shape (N, C, H, W)."""
        _, height, width, channels = self.images.shape
        return torch.Size((len(self), channels, height, width))

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """Read images (n, C, H, W) by their indices."""
        rows = self.rows[chosen if isinstance(chosen, slice) else chosen.numpy()]
        return torch.from_numpy(self.images.read(rows)).permute(0, 3, 1, 2).contiguous()

    def take(self, indices: Tensor) -> ReadImages:
        """Return the images at these indices, without reading them."""
        return ReadImages(self.images, self.rows[indices.numpy()])


class StridedImages:
    """Images (N, C, H, W) uint8 in a tensor of another order, such as channels last, indexed as a tensor is.

    Each read is a contiguous copy of the images that are read, so that there is no second copy of all of them.

    Args:
        images: the tensor (N, C, H, W).
    """

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> torch.Size:
        """The shape (N, C, H, W)."""
        return self.images.shape

    def __getitem__(self, chosen: slice | Tensor) -> Tensor:
        """Read images (n, C, H, W) by their indices."""
        return self.images[chosen].contiguous()

    def take(self, indices: Tensor) -> Tensor:
        """Return the images at these indices as a tensor, as for images that are one."""
        return self[indices]


Stored = Tensor | MappedImages | ReadImages | StridedImages
"""Images (N, C, H, W) uint8 in memory, in a file, or decoded each time they are read."""


def split_images(split: Split) -> Stored:
    """Return the images of a split: a map of the file where they are decoded in one, unread where they are many."""
    images = split.pool.images
    if isinstance(images, np.memmap) and images.filename is not None:
        return MappedImages(Path(images.filename), images.offset, images.shape, split.indices)
    if isinstance(images, ImageRows) and len(split) * math.prod(images.shape[1:]) > IN_MEMORY:
        return ReadImages(images, split.indices)
    return split.batch(torch.arange(len(split))).images.contiguous()


def store(parts: Iterable[Tensor], n: int, what: str) -> Stored:
    """Keep images that come in parts: in memory up to `IN_MEMORY` bytes, otherwise in a file without a name.

    A file without a name leaves the disk with the last use of it, also when the process is killed.

    Args:
        parts: images (B, C, H, W), uint8, at least one in all.
        n: number of images in all parts.
        what: name of the images in messages.

    Raises:
        UserError: if the file cannot be written, or the images differ in shape.
    """
    iterator = iter(parts)
    first = next(iterator)
    shape = first.shape[1:]
    checked = (_of_shape(part, shape, what) for part in chain([first], iterator))
    if n * shape.numel() <= IN_MEMORY:
        return torch.cat(list(checked))
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the last reference to it
        for part in checked:
            file.write(part.permute(0, 2, 3, 1).contiguous().numpy().data)
        file.flush()
    except OSError as error:
        raise UserError(
            f"{what} need {n * shape.numel() / 2**30:.1f} GB in {folder} while the audit runs: "
            f"{error.strerror or error}. Free that much, or name another folder in the environment variable ZOO_CACHE"
        ) from error
    channels, height, width = shape
    return MappedImages(file, 0, (n, height, width, channels), np.arange(n))


def _of_shape(part: Tensor, shape: torch.Size, what: str) -> Tensor:
    """Return a part if its images have this shape (C, H, W)."""
    if part.shape[1:] != shape:
        raise UserError(f"{what}: all images have one shape (C, H, W); got {tuple(shape)} and {tuple(part.shape[1:])}")
    return part
