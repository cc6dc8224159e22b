"""Nearest neighbours and closest pairs in feature space, tile by tile; identical features have distance 0."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.metrics.pairwise_distances import Cloud, pair_distances, squared_distances, tiles

NEIGHBOURS = 5  # nearest neighbours that questions use; the same number everywhere, so that they share the search
SPARE = 4  # candidates beyond the k-th, among which float64 decides where float32 cannot


class Nearest(NamedTuple):
    """The nearest references of each query, nearest first.

    Args:
        distances: Euclidean distances (N, k), float64.
        indices: indices (N, k) of the references.
    """

    distances: Tensor
    indices: Tensor


def nearest(queries: Tensor, references: Tensor, k: int = 1, *, same: bool = False) -> Nearest:
    """Find the k nearest references of each query.

    Args:
        queries: features (N, D).
        references: features (M, D).
        k: number of neighbours.
        same: whether both are features of the same images, so that no image is its own neighbour.

    Returns:
        Distances and indices (N, k).

    Raises:
        ValueError: if there are fewer than k references.
    """
    available = len(references) - same
    if available < k:
        raise ValueError(f"{k} nearest neighbours need more than {k} images; got {len(references)}")
    a, b = Cloud.of(queries, references)
    candidates = min(k + SPARE, available)
    distances = queries.new_empty(len(queries), k, dtype=torch.float64)
    nearest_indices = torch.empty(len(queries), k, dtype=torch.long)
    for rows, values, indices in _candidates(a, b, candidates, same):
        own = torch.arange(rows.start, rows.stop).repeat_interleave(indices.shape[1])
        exact = pair_distances(a, own, b, indices.flatten()).view_as(values) / a.scale**2
        ordered = exact.sort(1)
        distances[rows] = ordered.values[:, :k].clamp(min=0).sqrt()
        nearest_indices[rows] = indices.gather(1, ordered.indices[:, :k])
    return Nearest(distances, nearest_indices)


def _candidates(a: Cloud, b: Cloud, count: int, same: bool) -> list[tuple[slice, Tensor, Tensor]]:
    """Find the `count` nearest by float32: for each tile of R rows, squared distances and indices (R, count).

    The references, which may be many, are prepared tile by tile: there is no second copy of all of them.
    """
    found = [
        (rows, torch.empty(rows.stop - rows.start, 0), torch.empty(rows.stop - rows.start, 0, dtype=torch.long))
        for rows in tiles(len(a))
    ]
    for columns in tiles(len(b)):
        references = b.part(columns)
        every = slice(0, len(references))
        for place, (rows, values, indices) in enumerate(found):
            block = squared_distances(a, rows, references, every)
            if same and rows == columns:
                block.fill_diagonal_(torch.inf)
            smallest = block.topk(min(count, block.shape[1]), dim=1, largest=False)
            joined = torch.cat([values, smallest.values], 1)
            best = joined.topk(min(count, joined.shape[1]), dim=1, largest=False)
            merged = torch.cat([indices, smallest.indices + columns.start], 1).gather(1, best.indices)
            found[place] = rows, best.values, merged
    return found


def closest_pairs(features: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the closest pairs of rows.

    Args:
        features: features (N, D).
        count: number of pairs P; all N (N - 1) / 2 pairs if there are fewer.

    Returns:
        Distances (P,) in ascending order, and the indices i < j (P,) of both rows.
    """
    (cloud,) = Cloud.of(features)
    values, all_i, all_j = torch.empty(0), torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    parts = tiles(len(cloud))
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            block = squared_distances(cloud, rows, cloud, columns)
            if rows == columns:
                block.masked_fill_(torch.ones_like(block, dtype=torch.bool).tril(), torch.inf)
            best = block.flatten().topk(min(count, block.numel()), largest=False)
            i, j = best.indices // block.shape[1] + rows.start, best.indices % block.shape[1] + columns.start
            joined = torch.cat([values, best.values])
            values, order = joined.topk(min(count, len(joined)), largest=False)
            all_i, all_j = torch.cat([all_i, i])[order], torch.cat([all_j, j])[order]
    finite = values.isfinite()
    i, j = all_i[finite], all_j[finite]
    exact = pair_distances(cloud, i, cloud, j).sqrt() / cloud.scale
    order = exact.argsort(stable=True)
    return exact[order], i[order], j[order]
