"""Nearest neighbours between two sets of features, block by block, with distance 0 for copies."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.metrics.pairwise_distances import Cloud, pair_distances, squared_distances, tiles

SPARE = 4  # candidates beyond the k-th, so that float64 can choose among those that float32 confuses


class Nearest(NamedTuple):
    """The nearest references of each query, the nearest first.

    Args:
        distances: (N, k) Euclidean, float64.
        places: (N, k) of the references.
    """

    distances: Tensor
    places: Tensor


def nearest(queries: Tensor, references: Tensor, k: int = 1, *, same: bool = False) -> Nearest:
    """The k nearest references of each query.

    Args:
        queries: features (N, width).
        references: features (M, width).
        k: how many.
        same: whether both are the same images, so that each leaves itself out.

    Raises:
        ValueError: when there are fewer than k references.
    """
    there = len(references) - same
    if there < k:
        raise ValueError(f"{k} nearest neighbours need more than {k} images; got {len(references)}")
    a, b = Cloud.of(queries, references)
    keep = min(k + SPARE, there)
    distances = queries.new_empty(len(queries), k, dtype=torch.float64)
    places = torch.empty(len(queries), k, dtype=torch.long)
    for rows in tiles(len(queries)):
        values, indices = _candidates(a, rows, b, keep, same)
        own = torch.arange(rows.start, rows.stop).repeat_interleave(indices.shape[1])
        exact = pair_distances(a, own, b, indices.flatten()).view_as(values) / a.scale**2
        found = exact.sort(1)
        distances[rows] = found.values[:, :k].clamp(min=0).sqrt()
        places[rows] = indices.gather(1, found.indices[:, :k])
    return Nearest(distances, places)


def _candidates(a: Cloud, rows: slice, b: Cloud, keep: int, same: bool) -> tuple[Tensor, Tensor]:
    """The nearest by float32 for the rows of one tile: squared distances and places (R, keep)."""
    values = torch.empty(rows.stop - rows.start, 0)
    indices = torch.empty(rows.stop - rows.start, 0, dtype=torch.long)
    for columns in tiles(len(b)):
        block = squared_distances(a, rows, b, columns)
        if same and rows == columns:
            block.fill_diagonal_(torch.inf)
        found = block.topk(min(keep, block.shape[1]), dim=1, largest=False)
        joined = torch.cat([values, found.values], 1)
        best = joined.topk(min(keep, joined.shape[1]), dim=1, largest=False)
        indices = torch.cat([indices, found.indices + columns.start], 1).gather(1, best.indices)
        values = best.values
    return values, indices


def closest_pairs(features: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The closest pairs of rows: distances, and both places, i before j; in order of distance.

    Args:
        features: (N, width).
        count: how many; all pairs when there are fewer.
    """
    (cloud,) = Cloud.of(features)
    values, found_i, found_j = torch.empty(0), torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
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
            found_i, found_j = torch.cat([found_i, i])[order], torch.cat([found_j, j])[order]
    real = values.isfinite()
    i, j = found_i[real], found_j[real]
    exact = pair_distances(cloud, i, cloud, j).sqrt() / cloud.scale
    order = exact.argsort(stable=True)
    return exact[order], i[order], j[order]


NEIGHBOURS = 5  # that questions look at; one number for all, so that they share the search
