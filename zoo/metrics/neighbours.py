"""Nearest neighbours among features, block by block: the basis of precision, recall, density and coverage.

Distances are computed in float32, which is fast, and every comparison that float32 cannot decide is repeated in
float64. Results are therefore those of float64: copies are at distance 0, and equal distances are ties. Memory does not
grow with N x M. float64 products choose the k-th neighbour: clusters tighter than 1e-7 of their distance from the mean
are treated as points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.layers.precision import full_float32
from zoo.metrics.pairwise_distances import (
    Cloud,
    nonzero_indices,
    pair_distances,
    squared_distances,
    squared_distances64,
    tiles,
)

SPARE = 6  # neighbours kept beyond the k-th, so that float64 can choose among those that float32 confuses
TIE = 1e-12  # squared distances with a smaller relative difference are equal: sums may run in another order


class Rule(NamedTuple):
    """Definition of a sample's ball: it reaches to the k-th nearest other sample.

    Args:
        k: number of neighbours, the sample itself not counted.
        strict: exclude the boundary.

    Example:
        >>> from zoo.metrics import Rule
        >>> Rule(k=3, strict=False)
        Rule(k=3, strict=False)
    """

    k: int
    strict: bool


@dataclass
class NeighbourStatistics:
    """Numbers of samples in each other's balls, for N real and M generated samples; see `neighbour_statistics`.

    The ball of a sample reaches to its k-th nearest neighbour among the other samples of its own side.

    Args:
        real_around_fake: number of real samples' balls that contain each generated sample (M,).
        fake_in_real: number of generated samples in each real sample's ball (N,).
        fake_around_real: number of generated samples' balls that contain each real sample (N,).
        real_radii: squared radii of the real samples' balls (N,), float64.
        fake_radii: squared radii of the generated samples' balls (M,), float64.

    Example:
        >>> import torch
        >>> from zoo.metrics import NeighbourStatistics, Rule, neighbour_statistics
        >>> real, fake = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [9.0]])
        >>> (statistics,) = neighbour_statistics(real, fake, [Rule(k=1, strict=True)])
        >>> isinstance(statistics, NeighbourStatistics)
        True
        >>> statistics.real_around_fake.tolist(), statistics.fake_in_real.tolist()
        ([2, 0], [1, 1, 0])
        >>> statistics.real_radii.tolist()  # squared
        [1.0, 1.0, 4.0]
    """

    real_around_fake: Tensor
    fake_in_real: Tensor
    fake_around_real: Tensor
    real_radii: Tensor
    fake_radii: Tensor


def neighbour_statistics(real: Tensor, fake: Tensor, rules: Sequence[Rule]) -> list[NeighbourStatistics]:
    """Compute neighbour statistics for each rule, from one pass over the distances.

    Args:
        real: real features (N, D).
        fake: generated features (M, D), on the same device.
        rules: definitions of the balls, for instance `[Rule(3, strict=False), Rule(5, strict=True)]`.

    Returns:
        Statistics of each rule, in the order of `rules`.

    Raises:
        ValueError: if a side has at most k samples, or the numbers of features differ.

    Example:
        >>> import torch
        >>> from zoo.metrics import Rule, neighbour_statistics
        >>> real, fake = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[2.0], [4.0]])
        >>> rules = [Rule(k=1, strict=True), Rule(k=1, strict=False)]
        >>> [statistics.real_around_fake.tolist() for statistics in neighbour_statistics(real, fake, rules)]
        [[1, 1], [2, 1]]
    """
    most = max(rule.k for rule in rules)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real and generated features must be equally wide; got {real.shape[1]} and {fake.shape[1]}")
    for side, n in (("generated", len(fake)), ("real", len(real))):  # as many real ones are drawn as are generated
        if n <= most:
            raise ValueError(f"k={most} nearest neighbours need at least {most + 1} {side} samples; got {n}")
    with full_float32(real.device), torch.no_grad():
        radii = [squared_radii(side, [rule.k for rule in rules]) for side in (real, fake)]
        return _memberships(real, fake, rules, *radii)


def squared_radii(features: Tensor, ks: Sequence[int]) -> dict[int, Tensor]:
    """Compute the squared distance from each row to its k-th nearest other row, for each k.

    Args:
        features: features (N, D).
        ks: numbers of neighbours, each below N.

    Returns:
        Squared radii (N,) in float64, in units of the features, by k.
    """
    (cloud,) = Cloud.of(features)
    keep = min(max(ks) + SPARE, len(cloud) - 1)
    values, indices = _candidates(cloud, keep)
    radii_by_k = {k: features.new_zeros(len(cloud), dtype=torch.float64) for k in set(ks)}
    for rows in tiles(len(cloud)):
        for k, radii in _refine(cloud, rows, values[rows], indices[rows], set(ks)).items():
            radii_by_k[k][rows] = radii / cloud.scale**2
    return radii_by_k


def _candidates(cloud: Cloud, keep: int) -> tuple[Tensor, Tensor]:
    """Find the nearest other rows of each row in float32.

    Args:
        cloud: N points.
        keep: number of neighbours.

    Returns:
        Squared distances (N, keep), ascending, and indices of the neighbours (N, keep).
    """
    n = len(cloud)
    values = cloud.points.new_full((n, keep), torch.inf)
    indices = torch.zeros(n, keep, dtype=torch.long, device=values.device)

    def merge(rows: slice, block: Tensor, columns: slice) -> None:
        nearest = block.topk(min(keep, block.shape[1]), dim=1, largest=False, sorted=False)
        merged = torch.cat([values[rows], nearest.values], 1).sort(1)
        merged_indices = torch.cat([indices[rows], nearest.indices + columns.start], 1)
        values[rows] = merged.values[:, :keep]
        indices[rows] = merged_indices.gather(1, merged.indices[:, :keep])

    for i, rows in enumerate(tiles(n)):
        for columns in tiles(n)[i:]:  # the matrix is symmetric: each block is used in both directions
            block = squared_distances(cloud, rows, cloud, columns)
            if rows == columns:
                block.fill_diagonal_(torch.inf)
            else:
                merge(columns, block.T.contiguous(), rows)
            merge(rows, block, columns)
    return values, indices


def _refine(cloud: Cloud, rows: slice, values: Tensor, indices: Tensor, ks: set[int]) -> dict[int, Tensor]:
    """Compute squared radii in float64 from the float32 candidates of one tile.

    Args:
        cloud: all points.
        rows: the tile, n rows.
        values: squared distances of the candidates (n, keep), float32, ascending.
        indices: indices of the candidates (n, keep).
        ks: numbers of neighbours.

    Returns:
        Squared radii (n,), scaled, by k.
    """
    row_indices = torch.arange(rows.start, rows.stop, device=values.device)
    slack = 2 * cloud.error(rows, values[:, -1].clamp(min=0))
    most, keep = max(ks), values.shape[1]
    # If float32 cannot separate the k-th neighbour from dropped ones, all rows are searched again in float64.
    undecided = (
        (values[:, -1] - values[:, most - 1] <= slack).nonzero()[:, 0] if keep < len(cloud) - 1 else row_indices[:0]
    )
    if len(undecided):
        indices = indices.clone()
        indices[undecided] = _candidates64(cloud, row_indices[undecided], keep)
    radii_by_k = {}
    for k in ks:
        radii = pair_distances(cloud, row_indices, cloud, indices[:, k - 1])
        # The float32 order is right at k unless the neighbour before or after it is equally near within the error.
        ambiguous = torch.zeros_like(row_indices, dtype=torch.bool)
        ambiguous[undecided] = True
        if k > 1:
            ambiguous |= values[:, k - 1] - values[:, k - 2] <= slack
        if k < keep:
            ambiguous |= values[:, k] - values[:, k - 1] <= slack
        again = ambiguous.nonzero()[:, 0]
        pairs = pair_distances(cloud, row_indices[again].repeat_interleave(keep), cloud, indices[again].flatten())
        radii[again] = pairs.view(-1, keep).sort(1).values[:, k - 1]
        radii_by_k[k] = radii
    return radii_by_k


def _candidates64(cloud: Cloud, rows: Tensor, keep: int) -> Tensor:
    """Find the nearest other rows of single rows (R,) in float64: indices (R, keep)."""
    values = torch.full((len(rows), keep), torch.inf, dtype=torch.float64, device=rows.device)
    indices = torch.zeros(len(rows), keep, dtype=torch.long, device=rows.device)
    for columns in tiles(len(cloud)):
        block = squared_distances64(cloud, rows, cloud, columns)
        within = ((rows >= columns.start) & (rows < columns.stop)).nonzero()[:, 0]
        block[within, rows[within] - columns.start] = torch.inf  # a row is not its own neighbour
        block_indices = torch.arange(columns.start, columns.stop, device=rows.device).expand_as(block)
        nearest = torch.cat([values, block], 1).topk(keep, dim=1, largest=False)
        values, indices = nearest.values, torch.cat([indices, block_indices], 1).gather(1, nearest.indices)
    return indices


def _memberships(
    real: Tensor, fake: Tensor, rules: Sequence[Rule], real_radii: dict[int, Tensor], fake_radii: dict[int, Tensor]
) -> list[NeighbourStatistics]:
    """Count, for each rule, the samples in the balls of the other side.

    Args:
        real: real features (N, D).
        fake: generated features (M, D).
        rules: definitions of the balls.
        real_radii: squared radii (N,) of the real samples' balls, by k.
        fake_radii: squared radii (M,) of the generated samples' balls, by k.
    """
    a, b = Cloud.of(real, fake)

    def zeros(n: int) -> Tensor:
        return torch.zeros(n, dtype=torch.long, device=real.device)

    results = [
        NeighbourStatistics(zeros(len(b)), zeros(len(a)), zeros(len(a)), real_radii[rule.k], fake_radii[rule.k])
        for rule in rules
    ]
    for rows in tiles(len(a)):
        for columns in tiles(len(b)):
            block = squared_distances(a, rows, b, columns)
            for rule, statistics in zip(rules, results):
                i, j = _inside(a, rows, b, columns, block, statistics.real_radii[rows] * a.scale**2, rule.strict)
                statistics.fake_in_real[rows] += torch.bincount(i, minlength=len(block))
                statistics.real_around_fake[columns] += torch.bincount(j, minlength=block.shape[1])
                radii = statistics.fake_radii[columns] * a.scale**2
                j, i = _inside(b, columns, a, rows, block.T, radii, rule.strict)
                statistics.fake_around_real[rows] += torch.bincount(i, minlength=len(block))
    return results


def _inside(
    a: Cloud, rows: slice, b: Cloud, columns: slice, block: Tensor, radii: Tensor, strict: bool
) -> tuple[Tensor, Tensor]:
    """Find the points of `b` that lie in the balls of the points of `a`, within one block.

    Args:
        a: cloud with the balls.
        rows: n rows of `a`.
        b: cloud with the points.
        columns: m rows of `b`.
        block: their squared distances (n, m), float32.
        radii: squared radii (n,) of the balls, float64, scaled.
        strict: exclude the boundary.

    Returns:
        Indices of the pairs within the block, of `a` and of `b`.
    """
    error = a.error(rows, radii)
    i, j = nonzero_indices(block <= (radii + error).float()[:, None])
    inside = block[i, j] < (radii - error)[i]
    undecided = (~inside).nonzero()[:, 0]
    if len(undecided) > block.numel() // 128:  # then one float64 product is cheaper than single pairs
        exact = squared_distances64(a, rows, b, columns)[i[undecided], j[undecided]]
        excess = exact - radii[i[undecided]]
        inside[undecided] = excess < 0
        undecided = undecided[excess.abs() <= a.error64 / a.error32 * error[i[undecided]]]
    if len(undecided):
        exact = pair_distances(a, i[undecided] + rows.start, b, j[undecided] + columns.start)
        boundary = radii[i[undecided]]
        inside[undecided] = exact < boundary * (1 - TIE) if strict else exact <= boundary * (1 + TIE)
    return i[inside], j[inside]
