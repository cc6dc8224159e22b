"""Images that are read when they are asked for, indexed as an array is; a pool holds them in place of an array."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray


class ImageRows:
    """Images (N, H, W, C) of uint8 that are read when they are asked for. A subclass implements `read`.

    Args:
        shape: N, H, W and C.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        self.shape = shape

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images (n, H, W, C) with these numbers (n,)."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """The size of all images in bytes, when they are decoded."""
        return math.prod(self.shape)

    def __getitem__(self, rows: int | slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return an image (H, W, C) by its number, or images (n, H, W, C) by a slice or by numbers (n,)."""
        if isinstance(rows, slice):
            return self.read(np.arange(*rows.indices(len(self))))
        if isinstance(rows, np.ndarray):
            return self.read(rows)
        return cast("NDArray[np.uint8]", self.read(np.array([rows]))[0])

    def at(self, resolution: int) -> ImageRows:
        """Return the same images at a resolution in pixels, a divisor of their own; see `squares_averaged`."""
        return self if resolution == self.shape[1] else _Smaller(self, resolution)


class _Smaller(ImageRows):
    """The images of other rows, averaged over squares of pixels after they are read."""

    def __init__(self, rows: ImageRows, resolution: int) -> None:
        super().__init__((len(rows), resolution, resolution, rows.shape[3]))
        self.rows = rows

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images (n, R, R, C) with these numbers (n,)."""
        averaged: NDArray[np.uint8] = squares_averaged(self.rows.read(rows), self.shape[1])
        return averaged


def squares_averaged(images: NDArray[Any], resolution: int) -> NDArray[Any]:
    """Return images (N, H, H, C) averaged over squares of pixels (N, R, R, C); averages of uint8 are rounded.

    Args:
        images: images (N, H, H, C).
        resolution: R, a divisor of H.
    """
    factor = images.shape[1] // resolution
    part = images.astype(np.float32)
    means = part.reshape(len(part), resolution, factor, resolution, factor, -1).mean((2, 4))
    averaged: NDArray[Any] = (np.rint(means) if images.dtype == np.uint8 else means).astype(images.dtype)
    return averaged
