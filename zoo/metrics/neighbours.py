"""Nearest neighbours among features, block by block: the basis of precision, recall, density and coverage.

Distances are computed in float32, which is fast, and every comparison that float32 cannot decide is repeated in
float64. Results are therefore those of float64: copies are at distance 0, and equal distances are ties. Memory does not
grow with N x M. float64 products choose the k-th neighbour: clusters tighter than 1e-7 of their distance from the mean
are treated as points. `zoo.metrics.distance_pass` computes the blocks, and hands each to the classes here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

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
        clipped: cut radii above the median radius of the side down to it (Salvy et al. 2025, arXiv:2507.01761).

    Example:
        >>> from zoo.metrics import Rule
        >>> Rule(k=3, strict=False)
        Rule(k=3, strict=False, clipped=False)
    """

    k: int
    strict: bool
    clipped: bool = False


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
        real_around_real: number of other real samples (N,) that have each real sample among their k nearest and in
            their ball.

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
    real_around_real: Tensor


class Neighbours(NamedTuple):
    """The k nearest other points of each of N points.

    Args:
        radii: squared distances (N,) to the k-th, float64, in units of the features.
        indices: indices (N, k) of all k, in any order.
    """

    radii: Tensor
    indices: Tensor


class Candidates:
    """The nearest points of each of n rows in float32, gathered block by block.

    Args:
        n: number of rows.
        keep: number of points to keep for each row.
        device: device of the blocks.
    """

    def __init__(self, n: int, keep: int, device: torch.device) -> None:
        self.keep = keep
        self.values = torch.full((n, keep), torch.inf, device=device)  # squared distances, ascending
        self.indices = torch.zeros(n, keep, dtype=torch.long, device=device)

    def merge(self, rows: slice, block: Tensor, columns: slice) -> None:
        """Take up one block of squared distances (rows, columns)."""
        nearest = block.topk(min(self.keep, block.shape[1]), dim=1, largest=False, sorted=False)
        merged = torch.cat([self.values[rows], nearest.values], 1).sort(1)
        merged_indices = torch.cat([self.indices[rows], nearest.indices + columns.start], 1)
        self.values[rows] = merged.values[:, : self.keep]
        self.indices[rows] = merged_indices.gather(1, merged.indices[:, : self.keep])


class OwnNeighbours:
    """The nearest other points of each point of a cloud, from the blocks of its distances to itself.

    Args:
        cloud: N points.
        ks: numbers of neighbours, each below N.
    """

    def __init__(self, cloud: Cloud, ks: Iterable[int]) -> None:
        self.cloud, self.ks = cloud, set(ks)
        keep = min(max(self.ks) + SPARE, len(cloud) - 1)
        self.candidates = Candidates(len(cloud), keep, cloud.points.device)

    def visit(self, rows: slice, columns: slice, block: Tensor) -> None:
        """Take up one block on or above the diagonal; the diagonal becomes infinite."""
        if rows == columns:
            block.fill_diagonal_(torch.inf)
        else:  # the matrix is symmetric: each block is used in both directions
            self.candidates.merge(columns, block.T.contiguous(), rows)
        self.candidates.merge(rows, block, columns)

    def found(self) -> dict[int, Neighbours]:
        """Return the neighbours for each k, those of float64."""
        n, device = len(self.cloud), self.cloud.points.device
        result = {
            k: Neighbours(
                torch.zeros(n, dtype=torch.float64, device=device), torch.zeros(n, k, dtype=torch.long, device=device)
            )
            for k in self.ks
        }
        for rows in tiles(n):
            refined = _refine(self.cloud, rows, self.candidates.values[rows], self.candidates.indices[rows], self.ks)
            for k, (radii, indices) in refined.items():
                result[k].radii[rows] = radii / self.cloud.scale**2
                result[k].indices[rows] = indices
        return result


def _refine(cloud: Cloud, rows: slice, values: Tensor, indices: Tensor, ks: set[int]) -> dict[int, Neighbours]:
    """Choose the nearest neighbours in float64 from the float32 candidates of one tile.

    Args:
        cloud: all points.
        rows: the tile, n rows.
        values: squared distances of the candidates (n, keep), float32, ascending.
        indices: indices of the candidates (n, keep).
        ks: numbers of neighbours.

    Returns:
        Neighbours of the tile's rows, with scaled radii, by k.
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
    found = {}
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
        ordered = pairs.view(-1, keep).sort(1)
        radii[again] = ordered.values[:, k - 1]
        nearest = indices[:, :k].clone()
        nearest[again] = indices[again].gather(1, ordered.indices[:, :k])
        found[k] = Neighbours(radii, nearest)
    return found


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


class Memberships:
    """Numbers of samples in the balls of the other side, from the blocks of distances between both sides.

    Args:
        a: cloud of the N real samples.
        b: cloud of the M generated samples, of the same centre and scale.
        rules: definitions of the balls.
        real: neighbours of the real samples among themselves, by k.
        fake: neighbours of the generated samples among themselves, by k.
    """

    def __init__(
        self, a: Cloud, b: Cloud, rules: Sequence[Rule], real: dict[int, Neighbours], fake: dict[int, Neighbours]
    ) -> None:
        self.a, self.b = a, b

        def zeros(n: int) -> Tensor:
            return torch.zeros(n, dtype=torch.long, device=a.points.device)

        self.statistics = {
            rule: NeighbourStatistics(
                zeros(len(b)),
                zeros(len(a)),
                zeros(len(a)),
                _radii(real[rule.k], rule),
                _radii(fake[rule.k], rule),
                _memberships_within(a, real[rule.k], rule),
            )
            for rule in dict.fromkeys(rules)
        }

    def visit(self, rows: slice, columns: slice, block: Tensor) -> None:
        """Count the memberships of one block: rows of real samples, columns of generated ones."""
        a, b, scale = self.a, self.b, self.a.scale**2
        for rule, statistics in self.statistics.items():
            i, j = _inside(a, rows, b, columns, block, statistics.real_radii[rows] * scale, rule.strict)
            statistics.fake_in_real[rows] += torch.bincount(i, minlength=len(block))
            statistics.real_around_fake[columns] += torch.bincount(j, minlength=block.shape[1])
            if rule.clipped:  # nothing is known to be measured by clipped balls of generated samples
                continue
            j, i = _inside(b, columns, a, rows, block.T, statistics.fake_radii[columns] * scale, rule.strict)
            statistics.fake_around_real[rows] += torch.bincount(i, minlength=len(block))


def _radii(neighbours: Neighbours, rule: Rule) -> Tensor:
    """Return the squared radii (N,) of a side's balls."""
    if not rule.clipped:
        return neighbours.radii
    ordered = neighbours.radii.sqrt().sort().values
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return neighbours.radii.minimum(median.square())


def _memberships_within(cloud: Cloud, neighbours: Neighbours, rule: Rule) -> Tensor:
    """Count for each of N points the others (N,) that have it among their k nearest and in their ball."""
    indices = neighbours.indices.flatten()
    if rule.clipped:
        own = torch.arange(len(cloud), device=indices.device).repeat_interleave(rule.k)
        radii = _radii(neighbours, rule)[own] * cloud.scale**2
        indices = indices[pair_distances(cloud, own, cloud, indices) <= radii * (1 + TIE)]
    return torch.bincount(indices, minlength=len(cloud))


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


def nearest_distances(queries: Tensor, references: Tensor) -> Tensor:
    """Compute the distance from each of N queries to its nearest reference, in float64.

    Args:
        queries: features (N, D).
        references: features (M, D).

    Returns:
        Euclidean distances (N,).
    """
    a, b = Cloud.of(queries, references)
    candidates = Candidates(len(a), min(4, len(b)), a.points.device)
    for rows in tiles(len(a)):
        for columns in tiles(len(b)):
            candidates.merge(rows, squared_distances(a, rows, b, columns), columns)
    return nearest_of(candidates, a, b).radii.sqrt()


def nearest_of(candidates: Candidates, a: Cloud, b: Cloud) -> Neighbours:
    """Choose the nearest point of `b` for each point of `a` in float64, among few candidates of float32."""
    own = torch.arange(len(a), device=a.points.device).repeat_interleave(candidates.keep)
    squares = pair_distances(a, own, b, candidates.indices.flatten()).view(len(a), -1) / a.scale**2
    nearest = squares.min(1)
    return Neighbours(nearest.values, candidates.indices.gather(1, nearest.indices[:, None]))
