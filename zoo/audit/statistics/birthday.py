"""The birthday paradox: the number of distinct images of a generator, from the duplicates in a sample.

Arora and Zhang 2017 (arXiv:1706.08224): a sample of s images from a support of N images is likely to hold a duplicate
once s is about sqrt(N). In the paper people inspect the closest pairs, and s squared is the estimate. Here two images
are duplicates if they are closer than thresholds set on real data, and the number of duplicates gives an estimate with
an interval.
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

CANDIDATES = 20_000  # closest pairs of each space among which thresholds are searched
KEPT = 200_000  # pairs kept for figures and curves; all are counted


@dataclass(frozen=True)
class Thresholds:
    """The rule for duplicates: two images that are closer than a threshold in every space.

    Args:
        distances: largest Euclidean distance of duplicates, one for each space.
        rank: rank r, the same in each space, of the pair whose distance is the threshold, see `fit_thresholds`.
    """

    distances: tuple[float, ...]
    rank: int


@dataclass(frozen=True)
class Duplicates:
    """Pairs of duplicates in a sample of N images.

    Args:
        images: number of images N in the sample.
        count: number of pairs of duplicates.
        degrees: for each image (N,), the number of other images that are its duplicates.
        first: index of the first image of each pair (P,), P at most `KEPT`.
        second: index of the second image of each pair (P,), larger than that of the first.
    """

    images: int
    count: int
    degrees: Tensor
    first: Tensor
    second: Tensor

    @property
    def pairs(self) -> int:
        """Number of all pairs of the sample, N (N - 1) / 2."""
        return self.images * (self.images - 1) // 2

    @property
    def variance(self) -> float:
        """Variance of the count, by the jackknife, but at least the count.

        If all images of the support are equally likely, pairs are pairwise independent and the variance is the count;
        the jackknife gives about twice that. It remains valid if some images are more likely than others.
        """
        centred = self.degrees.double() - self.degrees.double().mean()
        return max(float(self.count), float(centred.square().sum()))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the confidence interval of the expected count: Poisson's, widened to the variance.

        Args:
            level: confidence level in (0, 1).
        """
        stretch = self.variance / self.count if self.count else 1.0
        low, high = poisson_interval(self.count / stretch, level)
        return low * stretch, high * stretch


@dataclass(frozen=True)
class SupportEstimate:
    """An estimate of the number of distinct images.

    Args:
        size: number of pairs that are not expected duplicates, over excess duplicates; infinite if there is no excess.
        low: lower end of the interval.
        high: upper end of the interval; infinite if an excess of 0 is possible.
        excess: number of duplicates minus the number expected.
        expected: number of pairs of distinct real images that would pass for duplicates.
        significant: whether the excess is above 0 at the requested level.
    """

    size: float
    low: float
    high: float
    excess: float
    expected: float
    significant: bool


def fit_thresholds(spaces: Sequence[Tensor], count: int) -> Thresholds:
    """Choose thresholds under which a given number of pairs of distinct real images pass for duplicates.

    A pair passes if it is among the r closest pairs in every space; r is raised until `count` pairs pass, at most to
    `CANDIDATES`.

    Args:
        spaces: features (N, D) of the same N images in each space.
        count: number of pairs that are to pass.
    """
    n = len(spaces[0])
    lists = [closest_pairs(features, min(CANDIDATES, n * (n - 1) // 2)) for features in spaces]
    keys = [i * n + j for _, i, j in lists]
    worst = torch.arange(len(keys[0]))
    for other in keys[1:]:
        order = other.argsort()
        position = torch.searchsorted(other[order], keys[0]).clamp(max=len(other) - 1)
        rank = torch.where(other[order][position] == keys[0], order[position], len(other))
        worst = torch.maximum(worst, rank)
    last = min(int(worst.sort().values[count - 1]), len(worst) - 1)
    return Thresholds(tuple(float(distances[last]) for distances, _, _ in lists), last + 1)


def find_duplicates(spaces: Sequence[Tensor], thresholds: Thresholds) -> Duplicates:
    """Find all pairs of duplicates in a sample.

    Args:
        spaces: features (N, D) of the sample in each space.
        thresholds: the rule for duplicates in these spaces.
    """
    clouds = [Cloud.of(features)[0] for features in spaces]
    n = len(clouds[0])
    degrees = torch.zeros(n, dtype=torch.long)
    first, second, kept = [], [], 0
    parts = tiles(n)
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            near = _within(clouds, rows, columns, thresholds)
            degrees[rows] += near.sum(1)
            degrees[columns] += near.sum(0)
            if kept < KEPT:
                i, j = nonzero_indices(near)
                i, j = i[: KEPT - kept] + rows.start, j[: KEPT - kept] + columns.start
                first.append(i)
                second.append(j)
                kept += len(i)
    return Duplicates(n, int(degrees.sum()) // 2, degrees, torch.cat(first), torch.cat(second))


def _within(clouds: Sequence[Cloud], rows: slice, columns: slice, thresholds: Thresholds) -> Tensor:
    """Mark the pairs (R, C) of a tile within all thresholds; float64 decides where float32 cannot."""
    near = torch.ones(rows.stop - rows.start, columns.stop - columns.start, dtype=torch.bool)
    unsure = torch.zeros_like(near)
    bounds = [(threshold * cloud.scale) ** 2 for cloud, threshold in zip(clouds, thresholds.distances)]
    for cloud, bound in zip(clouds, bounds):
        slack = cloud.error(rows, torch.full((len(near),), bound, dtype=torch.float64))[:, None]
        block = squared_distances(cloud, rows, cloud, columns)
        near &= block <= (bound + slack).float()
        unsure |= block >= (bound - slack).float()
    if rows == columns:  # count each pair once
        near = near.triu(1)
    i, j = nonzero_indices(near & unsure)
    for cloud, bound in zip(clouds, bounds):
        outside = pair_distances(cloud, i + rows.start, cloud, j + columns.start) > bound * (1 + 1e-12)
        near[i[outside], j[outside]] = False
    return near


def estimate_support(
    sample: Duplicates, null: Duplicates, level: float = 0.95, significance_level: float = 0.998
) -> SupportEstimate:
    """Estimate how many distinct images a sample was drawn from.

    If all N images are equally likely, two draws are the same image with probability 1/N, so N is estimated by pairs /
    duplicates. If some are more likely, the estimate is the effective number, 1 / (sum of squared probabilities): the
    size of a uniform support with as many duplicates. The intervals of both counts are combined as in Zou and Donner
    2008 (Statistics in Medicine 27).

    In a small support, distinct images that pass for duplicates come in clusters: if two images of a support of k pass
    for the same one, each is drawn n / k times in a sample of n, which gives (n / k)^2 duplicates. The number of such
    pairs in the support is unknown; only its expectation is known, and the interval allows for the difference.

    Args:
        sample: duplicates among generated images.
        null: duplicates among distinct real images.
        level: level of the interval.
        significance_level: level of the interval whose lower end must be above 0 for `significant`.
    """
    ratio = sample.pairs / null.pairs
    expected = null.count * ratio
    excess = sample.count - expected

    def size(count: float) -> float:
        return (sample.pairs - expected) / count if count > 0 else math.inf

    def clustered_duplicates(level: float) -> tuple[float, float]:
        k = size(excess)
        if k > sample.images:  # clusters are single duplicates, which the interval of their count covers
            return 0.0, 0.0
        pairs = null.count / null.pairs * k * (k - 1) / 2
        low, high = poisson_range(pairs, level)
        cluster = (sample.images / k) ** 2
        return (pairs - low) * cluster, (high - pairs) * cluster

    def ends(level: float) -> tuple[float, float]:
        low, high = sample.interval(level)
        null_low, null_high = (end * ratio for end in null.interval(level))
        fewer, more = clustered_duplicates(level)
        below = math.hypot(sample.count - low, null_high - expected, more)
        above = math.hypot(high - sample.count, expected - null_low, fewer)
        return excess - below, excess + above

    low, high = ends(level)
    significant = ends(significance_level)[0] > 0
    return SupportEstimate(size(excess), size(high), size(low), excess, expected, significant)


def first_collision(sample: Duplicates, orders: int, seed: int) -> Tensor:
    """Simulate how many images are drawn until the first duplicate, for random orders of the sample.

    The share of results that are at most s estimates the probability of a collision among s images.

    Args:
        sample: the duplicates of a sample.
        orders: number of random orders.
        seed: seed of the orders.

    Returns:
        Numbers of images (orders,); infinite if there are no duplicates.
    """
    i, j = sample.first, sample.second
    n = sample.images
    if len(i) >= KEPT:  # then collisions come early: use the first images only, all of whose pairs were kept
        n = int(i[-1])
        inside = j < n
        i, j = i[inside], j[inside]
    draw = torch.Generator().manual_seed(seed)
    drawn = torch.full((orders,), torch.inf)
    if len(i):
        for order in range(orders):
            position = torch.randperm(n, generator=draw)
            drawn[order] = float(torch.maximum(position[i], position[j]).min()) + 1
    return drawn
