"""Squared distances between features, block by block: in float32, with an error bound, or in float64."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

TILE = 2048  # rows and columns of a block of distances: 16 MiB in float32
PAIRS = 1 << 22  # float64 numbers in memory while distances of single pairs are computed
PAIRS_IN_CACHE = 1 << 15  # the same on a CPU: they fit into its cache, which is two and a half times as fast
COLUMNS = 128  # dimensions whose mean is taken at once, since torch first copies all of them to float64


class Cloud:
    """Features prepared for distances: shifted to the origin, where products are most accurate, and scaled to about 1.

    The prepared copy is made when `points` or `squares` are first used. Of large features, only a `part` may be needed.

    Args:
        features: features (N, D), of any scale.
        centre: point (D,) that becomes the origin; distances are between clouds with the same centre and scale.
        scale: a power of two that brings the features near 1.
    """

    def __init__(self, features: Tensor, centre: Tensor, scale: float) -> None:
        self.features, self.centre, self.scale = features, centre, scale
        terms = 8 + math.sqrt(features.shape[1])  # rounding errors of a long sum grow like the root of its length
        self.error32 = 4 * terms * torch.finfo(torch.float32).eps / 2
        self.error64 = 4 * terms * torch.finfo(torch.float64).eps / 2

    @staticmethod
    def of(*sides: Tensor) -> list[Cloud]:
        """Build clouds of several sets of features (N_i, D), with a common centre (their joint mean) and scale."""
        centre = sum(_mean(side) * (len(side) / sum(map(len, sides))) for side in sides)
        assert isinstance(centre, Tensor)
        reach = max(_reach(side, centre.to(side.dtype)) for side in sides)
        scale = 2.0 ** -round(torch.tensor(reach).double().log2().item()) if reach else 1.0
        return [Cloud(side, centre, scale) for side in sides]

    @cached_property
    def points(self) -> Tensor:
        """The features in float32 (N, D), shifted and scaled, in a copy that is filled tile by tile."""
        points = torch.empty_like(self.features, dtype=torch.float32, memory_format=torch.contiguous_format)
        centre = self.centre.to(self.features.dtype)
        for rows in tiles(len(points)):
            points[rows] = (self.features[rows] - centre) * self.scale
        return points

    @cached_property
    def squares(self) -> Tensor:
        """The squared lengths (N,) of the points."""
        squares = self.points.new_empty(len(self.points))
        for rows in tiles(len(squares)):
            squares[rows] = self.points[rows].square().sum(1)
        return squares

    def part(self, rows: slice) -> Cloud:
        """Return some rows as a cloud of the same centre and scale, which prepares only these."""
        return Cloud(self.features[rows], self.centre, self.scale)

    def __len__(self) -> int:
        return len(self.features)

    def in_float64(self, rows: slice | Tensor) -> Tensor:
        """Return rows in float64 (n, D), shifted and scaled like `points`."""
        return (self.features[rows].double() - self.centre) * self.scale

    def error(self, rows: slice | Tensor, radii: Tensor) -> Tensor:
        """Bound the float32 error of squared distances from these rows.

        The error of a pair is at most a constant times |x|^2 + |y|^2, and |y|^2 <= 2 |x|^2 + 2 |x - y|^2.

        Args:
            rows: rows x (n,).
            radii: squared distances |x - y|^2 (n,), scaled, approximate.
        """
        return self.error32 * (3 * self.squares[rows] + 2 * radii)


def squared_distances(a: Cloud, rows: slice, b: Cloud, columns: slice) -> Tensor:
    """Compute squared distances in float32 between points of two clouds.

    Args:
        a: first cloud.
        rows: the n points of `a`.
        b: second cloud, of the same centre and scale.
        columns: the m points of `b`.

    Returns:
        Squared distances (n, m), scaled by the clouds' `scale` squared; rounding can make them slightly negative.
    """
    block: Tensor = torch.addmm(b.squares[columns], a.points[rows], b.points[columns].T, alpha=-2)
    block += a.squares[rows][:, None]
    return block


def squared_distances64(a: Cloud, rows: slice | Tensor, b: Cloud, columns: slice) -> Tensor:
    """Compute squared distances in float64 between points of two clouds.

    Args:
        a: first cloud.
        rows: the n points of `a`.
        b: second cloud, of the same centre and scale.
        columns: the m points of `b`.

    Returns:
        Squared distances (n, m), scaled by the clouds' `scale` squared; rounding can make them slightly negative.
    """
    x, y = a.in_float64(rows), b.in_float64(columns)
    block: Tensor = torch.addmm(y.square().sum(1), x, y.T, alpha=-2)
    block += x.square().sum(1)[:, None]
    return block


def pair_distances(a: Cloud, rows: Tensor, b: Cloud, columns: Tensor) -> Tensor:
    """Compute squared distances of P pairs in float64, from differences, so that they are 0 for copies.

    Args:
        a: first cloud.
        rows: indices into `a` (P,).
        b: second cloud.
        columns: indices into `b` (P,).

    Returns:
        Squared distances (P,), scaled.
    """
    step = max(1, (PAIRS_IN_CACHE if rows.device.type == "cpu" else PAIRS) // a.features.shape[1])
    parts = []
    for i, j in zip(torch.split(rows, step), torch.split(columns, step)):
        difference = a.features[i].double().sub_(b.features[j])
        parts.append(torch.linalg.vecdot(difference, difference) * a.scale**2)
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64, device=rows.device)


def nonzero_indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column indices (H,) of the true elements of a mask (n, m); numpy is ten times as fast on a CPU."""
    if not mask.is_contiguous():
        j, i = nonzero_indices(mask.T)
        return i, j
    flat = mask.flatten()
    hits = flat.nonzero()[:, 0] if mask.device.type != "cpu" else torch.from_numpy(np.flatnonzero(flat.numpy()))
    return hits // mask.shape[1], hits % mask.shape[1]


def tiles(n: int) -> list[slice]:
    """Split n rows into consecutive slices of at most `TILE`."""
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


# The parts below are written in place: on the heap, small results between large temporary tensors would keep the memory
# of these from being used again.


def _mean(features: Tensor) -> Tensor:
    """Return the mean (D,) of features (N, D) in float64, without a copy of all of them in float64."""
    if features.device.type != "cpu":
        return features.mean(0, dtype=torch.float64)  # without a copy
    mean = features.new_empty(features.shape[1], dtype=torch.float64)
    for part, columns in zip(torch.split(mean, COLUMNS), torch.split(features, COLUMNS, 1)):
        part.copy_(columns.mean(0, dtype=torch.float64))
    return mean


def _reach(features: Tensor, centre: Tensor) -> float:
    """Return the largest absolute difference of features (N, D) from a centre (D,)."""
    parts = tiles(len(features))
    largest = features.new_empty(len(parts))
    for i, rows in enumerate(parts):
        largest[i] = (features[rows] - centre).abs().max()
    return float(largest.max())
