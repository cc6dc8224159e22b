"""Nearest neighbours among features, block by block: what precision, recall, density and coverage are made of.

Products are in float32, which is fast, and every comparison that float32 cannot decide is made again in float64. So
results are those of float64, copies have distance 0, and ties are ties. Memory does not grow with N x M. Products in
float64 decide last who the k-th neighbour is: clusters tighter than 1e-7 of their distance from the mean count as dots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.layers.precision import full_float32

TILE = 2048  # rows and columns of a block of distances: 16 MiB in float32
SPARE = 6  # neighbours kept beyond the k-th, so that float64 can choose among those that float32 confuses
PAIRS = 1 << 22  # numbers held in float64 while distances of single pairs are computed
PAIRS_IN_CACHE = 1 << 15  # the same on a CPU, whose cache holds so many: two and a half times as fast
TIE = 1e-12  # squared distances that differ by less, relatively, are equal: sums may run in another order


class Rule(NamedTuple):
    """What counts as inside a ball that reaches to the k-th neighbour; its rim is outside if strict."""

    k: int
    strict: bool


@dataclass
class NeighbourStatistics:
    """Who lies in whose ball. A sample's ball reaches to its k-th nearest neighbour on its own side, itself left out.

    Args:
        real_around_fake: (M,) in how many balls of real samples each generated one lies.
        fake_in_real: (N,) how many generated samples lie in each real one's ball.
        fake_around_real: (N,) in how many balls of generated samples each real one lies.
        real_radii, fake_radii: (N,) and (M,) squared radii, in float64.
    """

    real_around_fake: Tensor
    fake_in_real: Tensor
    fake_around_real: Tensor
    real_radii: Tensor
    fake_radii: Tensor


def neighbour_statistics(real: Tensor, fake: Tensor, rules: Sequence[Rule]) -> list[NeighbourStatistics]:
    """Statistics for each rule, from one pass over the distances.

    Args:
        real: features (N, width).
        fake: features (M, width), on the same device.
        rules: for instance `[Rule(3, strict=False), Rule(5, strict=True)]`.

    Raises:
        ValueError: if a side has not more than k samples, or the widths differ.
    """
    most = max(rule.k for rule in rules)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real and generated features must be equally wide; got {real.shape[1]} and {fake.shape[1]}")
    for side, n in (("real", len(real)), ("generated", len(fake))):
        if n <= most:
            raise ValueError(f"k={most} nearest neighbours need at least {most + 1} {side} samples; got {n}")
    with torch.no_grad(), full_float32(real.device):
        radii = [squared_radii(side, [rule.k for rule in rules]) for side in (real, fake)]
        return _memberships(real, fake, rules, *radii)


class Cloud:
    """Features made ready for distances: shifted near the origin, where products lose the fewest digits.

    Args:
        features: (N, width), of any scale.
        centre: (width,), the same for clouds whose distances are wanted.
        scale: a power of two that brings them near 1.
    """

    def __init__(self, features: Tensor, centre: Tensor, scale: float) -> None:
        self.features, self.centre, self.scale = features, centre, scale
        self.points = ((features - centre.to(features.dtype)) * scale).float()
        self.squares = self.points.square().sum(1)  # (N,)
        terms = 8 + math.sqrt(features.shape[1])  # rounding errors of a long sum grow like the root of its length
        self.error32 = 4 * terms * torch.finfo(torch.float32).eps / 2
        self.error64 = 4 * terms * torch.finfo(torch.float64).eps / 2

    @staticmethod
    def of(*sides: Tensor) -> list[Cloud]:
        """Clouds around their joint mean."""
        centre = sum(side.mean(0, dtype=torch.float64) * (len(side) / sum(map(len, sides))) for side in sides)
        assert isinstance(centre, Tensor)
        reach = max(float((side - centre.to(side.dtype)).abs().max()) for side in sides)
        scale = 2.0 ** -round(torch.tensor(reach).double().log2().item()) if reach else 1.0
        return [Cloud(side, centre, scale) for side in sides]

    def __len__(self) -> int:
        return len(self.features)

    def exactly(self, rows: slice | Tensor) -> Tensor:
        """Rows in float64, shifted as well: (n, width)."""
        return (self.features[rows].double() - self.centre) * self.scale

    def error(self, rows: slice | Tensor, radii: Tensor) -> Tensor:
        """How far float32 may be off for a squared distance of about `radii` from these rows.

        A pair's error is bounded by |x|^2 + |y|^2 times a constant, and |y|^2 <= 2 |x|^2 + 2 |x - y|^2.
        """
        return self.error32 * (3 * self.squares[rows] + 2 * radii)


def squared_distances(a: Cloud, rows: slice, b: Cloud, columns: slice) -> Tensor:
    """Squared distances in float32 between rows of two clouds."""
    block: Tensor = torch.addmm(b.squares[columns], a.points[rows], b.points[columns].T, alpha=-2)
    block += a.squares[rows][:, None]
    return block


def squared_distances64(a: Cloud, rows: slice | Tensor, b: Cloud, columns: slice) -> Tensor:
    """The same in float64."""
    x, y = a.exactly(rows), b.exactly(columns)
    block: Tensor = torch.addmm(y.square().sum(1), x, y.T, alpha=-2)
    block += x.square().sum(1)[:, None]
    return block


def pair_distances(a: Cloud, rows: Tensor, b: Cloud, columns: Tensor) -> Tensor:
    """Squared distances (P,) of single pairs in float64, from differences: 0 for copies."""
    step = max(1, (PAIRS_IN_CACHE if rows.device.type == "cpu" else PAIRS) // a.features.shape[1])
    parts = []
    for i, j in zip(torch.split(rows, step), torch.split(columns, step)):
        apart = a.features[i].double().sub_(b.features[j])
        parts.append(torch.linalg.vecdot(apart, apart) * a.scale**2)
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64, device=rows.device)


def positions(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns where a mask is true; of few hits on the CPU, numpy finds them ten times as fast as torch."""
    if not mask.is_contiguous():
        j, i = positions(mask.T)
        return i, j
    flat = mask.flatten()
    hits = flat.nonzero()[:, 0] if mask.device.type != "cpu" else torch.from_numpy(np.flatnonzero(flat.numpy()))
    return hits // mask.shape[1], hits % mask.shape[1]


def tiles(n: int) -> list[slice]:
    """Consecutive slices that cover n rows."""
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def squared_radii(features: Tensor, ks: Sequence[int]) -> dict[int, Tensor]:
    """Squared distance (N,) in float64 from each row to its k-th nearest other row, for each k.

    In units of the features.
    """
    (cloud,) = Cloud.of(features)
    keep = min(max(ks) + SPARE, len(cloud) - 1)
    nearest = _candidates(cloud, keep)
    found = {k: features.new_zeros(len(cloud), dtype=torch.float64) for k in set(ks)}
    for rows in tiles(len(cloud)):
        for k, radii in _refine(cloud, rows, nearest[0][rows], nearest[1][rows], set(ks)).items():
            found[k][rows] = radii / cloud.scale**2
    return found


def _candidates(cloud: Cloud, keep: int) -> tuple[Tensor, Tensor]:
    """The nearest others of each row by float32: squared distances (N, keep) ascending, and which they are."""
    n = len(cloud)
    values = cloud.points.new_full((n, keep), torch.inf)
    indices = torch.zeros(n, keep, dtype=torch.long, device=values.device)

    def merge(rows: slice, block: Tensor, columns: slice) -> None:
        found = block.topk(min(keep, block.shape[1]), dim=1, largest=False, sorted=False)
        joined = torch.cat([values[rows], found.values], 1).sort(1)
        among = torch.cat([indices[rows], found.indices + columns.start], 1)
        values[rows] = joined.values[:, :keep]
        indices[rows] = among.gather(1, joined.indices[:, :keep])

    for i, rows in enumerate(tiles(n)):
        for columns in tiles(n)[i:]:  # the matrix is symmetric: half of it serves both ways
            block = squared_distances(cloud, rows, cloud, columns)
            if rows == columns:
                block.fill_diagonal_(torch.inf)
            else:
                merge(columns, block.T.contiguous(), rows)
            merge(rows, block, columns)
    return values, indices


def _refine(cloud: Cloud, rows: slice, values: Tensor, indices: Tensor, ks: set[int]) -> dict[int, Tensor]:
    """Squared radii in float64, from float32's candidates, for rows of one tile."""
    own = torch.arange(rows.start, rows.stop, device=values.device)
    slack = 2 * cloud.error(rows, values[:, -1].clamp(min=0))
    most, keep = max(ks), values.shape[1]
    # Where float32 cannot tell the k-th neighbour from those that were dropped, all others are looked at in float64.
    open_ = (values[:, -1] - values[:, most - 1] <= slack).nonzero()[:, 0] if keep < len(cloud) - 1 else own[:0]
    if len(open_):
        indices = indices.clone()
        indices[open_] = _candidates64(cloud, own[open_], keep)
    found = {}
    for k in ks:
        radii = pair_distances(cloud, own, cloud, indices[:, k - 1])
        # Float32 put the k-th neighbour in its place unless one beside it is as near.
        unsure = torch.zeros_like(own, dtype=torch.bool)
        unsure[open_] = True
        if k > 1:
            unsure |= values[:, k - 1] - values[:, k - 2] <= slack
        if k < keep:
            unsure |= values[:, k] - values[:, k - 1] <= slack
        which = unsure.nonzero()[:, 0]
        pairs = pair_distances(cloud, own[which].repeat_interleave(keep), cloud, indices[which].flatten())
        radii[which] = pairs.view(-1, keep).sort(1).values[:, k - 1]
        found[k] = radii
    return found


def _candidates64(cloud: Cloud, rows: Tensor, keep: int) -> Tensor:
    """The nearest others (R, keep) of single rows by float64."""
    values = torch.full((len(rows), keep), torch.inf, dtype=torch.float64, device=rows.device)
    indices = torch.zeros(len(rows), keep, dtype=torch.long, device=rows.device)
    for columns in tiles(len(cloud)):
        block = squared_distances64(cloud, rows, cloud, columns)
        here = ((rows >= columns.start) & (rows < columns.stop)).nonzero()[:, 0]
        block[here, rows[here] - columns.start] = torch.inf
        joined = torch.cat([values, block], 1)
        among = torch.cat([indices, torch.arange(columns.start, columns.stop, device=rows.device).expand_as(block)], 1)
        best = joined.topk(keep, dim=1, largest=False)
        values, indices = best.values, among.gather(1, best.indices)
    return indices


def _memberships(
    real: Tensor, fake: Tensor, rules: Sequence[Rule], real_radii: dict[int, Tensor], fake_radii: dict[int, Tensor]
) -> list[NeighbourStatistics]:
    """Who lies in whose ball, for each rule."""
    a, b = Cloud.of(real, fake)

    def none(n: int) -> Tensor:
        return torch.zeros(n, dtype=torch.long, device=real.device)

    found = [
        NeighbourStatistics(none(len(b)), none(len(a)), none(len(a)), real_radii[rule.k], fake_radii[rule.k])
        for rule in rules
    ]
    for rows in tiles(len(a)):
        for columns in tiles(len(b)):
            block = squared_distances(a, rows, b, columns)
            for rule, statistics in zip(rules, found):
                i, j = _inside(a, rows, b, columns, block, statistics.real_radii[rows] * a.scale**2, rule.strict)
                statistics.fake_in_real[rows] += torch.bincount(i, minlength=len(block))
                statistics.real_around_fake[columns] += torch.bincount(j, minlength=block.shape[1])
                radii = statistics.fake_radii[columns] * a.scale**2
                j, i = _inside(b, columns, a, rows, block.T, radii, rule.strict)
                statistics.fake_around_real[rows] += torch.bincount(i, minlength=len(block))
    return found


def _inside(
    a: Cloud, rows: slice, b: Cloud, columns: slice, block: Tensor, radii: Tensor, strict: bool
) -> tuple[Tensor, Tensor]:
    """Pairs of a row of `a` and a column of `b`, both counted from the block's corner, where b lies in a's ball."""
    error = a.error(rows, radii)
    i, j = positions(block <= (radii + error).float()[:, None])
    inside = block[i, j] < (radii - error)[i]
    unsure = (~inside).nonzero()[:, 0]
    if len(unsure) > block.numel() // 128:  # then one more product is cheaper than single pairs
        exact = squared_distances64(a, rows, b, columns)[i[unsure], j[unsure]]
        apart = exact - radii[i[unsure]]
        inside[unsure] = apart < 0
        unsure = unsure[apart.abs() <= a.error64 / a.error32 * error[i[unsure]]]
    if len(unsure):
        exact = pair_distances(a, i[unsure] + rows.start, b, j[unsure] + columns.start)
        rim = radii[i[unsure]]
        inside[unsure] = exact < rim * (1 - TIE) if strict else exact <= rim * (1 + TIE)
    return i[inside], j[inside]
