"""The birthday paradox: how many different images a generator has, told from how often two of a sample are alike.

Arora and Zhang 2017 (arXiv:1706.08224): a sample of s images from a support of N is likely to hold a pair of equals
once s is about the root of N. They let people judge the closest pairs and give s squared as the size; here the
duplicates are counted by thresholds that real data set, and the count gives an estimate with an interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.audit.statistics.distances import closest_pairs
from zoo.audit.statistics.significance import poisson_interval, poisson_range
from zoo.metrics.pairwise_distances import Cloud, nonzero_indices, pair_distances, squared_distances, tiles

LISTED = 20_000  # closest pairs of each space among which a threshold is looked for
KEPT = 200_000  # pairs kept for pictures and curves; all are counted


@dataclass(frozen=True)
class Alike:
    """When two images count as the same one: closer than a threshold in every space.

    Args:
        thresholds: Euclidean distances, one for each space.
        rank: the thresholds are the distances of this closest pair in each space.
    """

    thresholds: tuple[float, ...]
    rank: int


@dataclass(frozen=True)
class Duplicates:
    """Pairs of a sample that are alike.

    Args:
        images: in the sample.
        count: of pairs.
        degrees: (N,) with how many others each image is alike.
        first, second: places of pairs, at most `KEPT` of them, the first image before the second.
    """

    images: int
    count: int
    degrees: Tensor
    first: Tensor
    second: Tensor

    @property
    def pairs(self) -> int:
        """All pairs of the sample."""
        return self.images * (self.images - 1) // 2

    @property
    def variance(self) -> float:
        """Of the count, by the jackknife.

        Pairs of an even support are pairwise independent, and the variance would be the count; the jackknife gives
        about twice that there, and stays true where some images are drawn more often than others.
        """
        centred = self.degrees.double() - self.degrees.double().mean()
        return max(float(self.count), float(centred.square().sum()))

    def interval(self, level: float) -> tuple[float, float]:
        """Of the expected count: Poisson's, stretched to the variance."""
        stretch = self.variance / self.count if self.count else 1.0
        low, high = poisson_interval(self.count / stretch, level)
        return low * stretch, high * stretch


@dataclass(frozen=True)
class Support:
    """An estimate of how many different images there are.

    Args:
        size: pairs over excess duplicates; infinite without excess.
        low: lower end of the interval.
        high: upper end; infinite where the excess may be none.
        excess: duplicates beyond those that different real images would give.
        expected: duplicates that they would give.
        significant: whether there is an excess beyond doubt, at the level asked for.
    """

    size: float
    low: float
    high: float
    excess: float
    expected: float
    significant: bool


def alike(spaces: Sequence[Tensor], count: int) -> Alike:
    """Thresholds under which `count` pairs of these different images would pass as the same one.

    A pair passes when it is among the r closest in every space; r is raised until so many do.

    Args:
        spaces: features (N, width) of the same images in each space.
        count: of pairs.
    """
    n = len(spaces[0])
    lists = [closest_pairs(features, min(LISTED, n * (n - 1) // 2)) for features in spaces]
    keys = [i * n + j for _, i, j in lists]
    worst = torch.arange(len(keys[0]))
    for other in keys[1:]:
        order = other.argsort()
        place = torch.searchsorted(other[order], keys[0]).clamp(max=len(other) - 1)
        rank = torch.where(other[order][place] == keys[0], order[place], len(other))
        worst = torch.maximum(worst, rank)
    last = min(int(worst.sort().values[count - 1]), len(worst) - 1)
    return Alike(tuple(float(distances[last]) for distances, _, _ in lists), last + 1)


def duplicates(spaces: Sequence[Tensor], same: Alike) -> Duplicates:
    """All pairs of a sample that are alike.

    Args:
        spaces: features (N, width) of the sample in each space.
        same: thresholds.
    """
    clouds = [Cloud.of(features)[0] for features in spaces]
    n = len(clouds[0])
    degrees = torch.zeros(n, dtype=torch.long)
    first, second, kept = [], [], 0
    parts = tiles(n)
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            near = _near(clouds, rows, columns, same)
            degrees[rows] += near.sum(1)
            degrees[columns] += near.sum(0)
            if kept < KEPT:
                i, j = nonzero_indices(near)
                i, j = i[: KEPT - kept] + rows.start, j[: KEPT - kept] + columns.start
                first.append(i)
                second.append(j)
                kept += len(i)
    return Duplicates(n, int(degrees.sum()) // 2, degrees, torch.cat(first), torch.cat(second))


def _near(clouds: Sequence[Cloud], rows: slice, columns: slice, same: Alike) -> Tensor:
    """Which pairs (R, C) of a tile are alike; where float32 cannot tell, float64 does."""
    near = torch.ones(rows.stop - rows.start, columns.stop - columns.start, dtype=torch.bool)
    unsure = torch.zeros_like(near)
    bounds = [(threshold * cloud.scale) ** 2 for cloud, threshold in zip(clouds, same.thresholds)]
    for cloud, bound in zip(clouds, bounds):
        slack = cloud.error(rows, torch.full((len(near),), bound, dtype=torch.float64))[:, None]
        block = squared_distances(cloud, rows, cloud, columns)
        near &= block <= (bound + slack).float()
        unsure |= block >= (bound - slack).float()
    if rows == columns:  # of a pair and itself turned round, one is enough
        near = near.triu(1)
    i, j = nonzero_indices(near & unsure)
    for cloud, bound in zip(clouds, bounds):
        outside = pair_distances(cloud, i + rows.start, cloud, j + columns.start) > bound * (1 + 1e-12)
        near[i[outside], j[outside]] = False
    return near


def support(sample: Duplicates, null: Duplicates, level: float = 0.95, sure: float = 0.998) -> Support:
    """How many different images the sample came from.

    For an even support of N images, two draws are the same with chance 1/N. Where some are drawn more often, the number
    found is the effective one, 1 / (sum of squared chances): that of an even support with as many duplicates. The
    intervals of both counts are joined as in Zou and Donner 2008.

    Different images that pass as the same one come in bunches where the support is small: two such images of a support
    of k, each drawn n / k times, give (n / k)^2 duplicates. How many of them a support of that size holds is not known,
    only how many to expect, and the interval allows for the rest.

    Args:
        sample: duplicates among generated images.
        null: duplicates among different real images.
        level: of the interval.
        sure: level of the interval whose lower end must be above 0 for `significant`.
    """
    ratio = sample.pairs / null.pairs
    expected = null.count * ratio
    excess = sample.count - expected

    def size(count: float) -> float:
        return (sample.pairs - expected) / count if count > 0 else math.inf

    def bunches(level: float) -> tuple[float, float]:
        k = size(excess)
        if k > sample.images:  # a bunch is one duplicate at most, and the interval of their count knows them
            return 0.0, 0.0
        pairs = null.count / null.pairs * k * (k - 1) / 2
        low, high = poisson_range(pairs, level)
        bunch = (sample.images / k) ** 2
        return (pairs - low) * bunch, (high - pairs) * bunch

    def ends(level: float) -> tuple[float, float]:
        low, high = sample.interval(level)
        null_low, null_high = (end * ratio for end in null.interval(level))
        fewer, more = bunches(level)
        below = math.hypot(sample.count - low, null_high - expected, more)
        above = math.hypot(high - sample.count, expected - null_low, fewer)
        return excess - below, excess + above

    low, high = ends(level)
    return Support(size(excess), size(high), size(low), excess, expected, ends(sure)[0] > 0)


def first_collision(sample: Duplicates, orders: int, seed: int) -> Tensor:
    """How many images are drawn until two are alike, in random orders of the sample: (orders,); infinite without any.

    The share of values at most s is the chance of a collision among s.
    """
    i, j = sample.first, sample.second
    n = sample.images
    if len(i) >= KEPT:  # then a collision comes within the first images: look at as many as have all their pairs kept
        n = int(i[-1])
        inside = j < n
        i, j = i[inside], j[inside]
    draw = torch.Generator().manual_seed(seed)
    found = torch.full((orders,), torch.inf)
    if len(i):
        for order in range(orders):
            place = torch.randperm(n, generator=draw)
            found[order] = float(torch.maximum(place[i], place[j]).min()) + 1
    return found
