"""Sorted projections of points on directions, of which sliced Wasserstein distances are made."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

VALUES_AT_ONCE = 1 << 22  # projections in memory: 16 MiB


def sorted_projections(directions: Tensor, *sides: Tensor) -> Iterator[list[Tensor]]:
    """Yield the sorted projections of several sets of points, for a few directions at a time.

    Args:
        directions: directions (P, D).
        sides: points (N, D) of each set, float32.

    Yields:
        For each set, projections (p, N) in ascending order along the second dimension.
    """
    for some in torch.split(directions, max(1, VALUES_AT_ONCE // max(map(len, sides)))):
        yield [_sorted(some @ side.T) for side in sides]


def _sorted(rows: Tensor) -> Tensor:
    """Sort each row (p, N); numpy sorts in place and without indices, several times as fast on a CPU."""
    if rows.device.type != "cpu":
        return rows.sort(1).values
    values = rows.contiguous().numpy()
    values.sort(axis=1)
    return torch.from_numpy(values)
