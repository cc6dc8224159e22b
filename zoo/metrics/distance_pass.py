"""One pass over the distances between features, for all metrics that are made of distances."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zoo.layers.precision import full_float32
from zoo.metrics.accumulate import FeatureMetric, StoredFeatures
from zoo.metrics.neighbours import (
    Memberships,
    Neighbours,
    NeighbourStatistics,
    OwnNeighbours,
    Rule,
    nearest_of,
)
from zoo.metrics.pairwise_distances import Cloud, squared_distances, tiles
from zoo.metrics.visitors import Directions, Kernel, KernelSum, NearestReal


class Means(NamedTuple):
    """Means of a kernel over all pairs, those of a sample with itself included; scalars in float64.

    Args:
        real: over pairs of two real samples.
        fake: over pairs of two generated samples.
        across: over pairs of a real and a generated sample.
    """

    real: Tensor
    fake: Tensor
    across: Tensor


@dataclass(frozen=True)
class Needs:
    """What a metric is computed from.

    Args:
        rules: definitions of balls whose neighbour statistics are needed.
        kernels: kernels whose means are needed.
        nearest: whether the nearest real sample of each generated one is needed.
        directions: whether the samples of the other side with the most similar direction are needed.
    """

    rules: tuple[Rule, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    nearest: bool = False
    directions: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            tuple(dict.fromkeys(self.rules + other.rules)),
            tuple(dict.fromkeys(self.kernels + other.kernels)),
            self.nearest or other.nearest,
            self.directions or other.directions,
        )


@dataclass
class Found:
    """What one pass found; each part only where it was needed.

    Args:
        statistics: neighbour statistics by rule.
        means: means of kernels.
        to_real: squared distance (M,) from each generated sample to its nearest real one.
        spacing: squared distance (M,) from that real sample to its nearest other real one.
        cosines: largest |cos| of the angles between each real sample and the generated ones (N,), and between each
            generated sample and the real ones (M,); NaN for a sample of length 0.
    """

    statistics: dict[Rule, NeighbourStatistics] = field(default_factory=dict)
    means: dict[Kernel, Means] = field(default_factory=dict)
    to_real: Tensor | None = None
    spacing: Tensor | None = None
    cosines: tuple[Tensor, Tensor] | None = None


class DistanceMetric(StoredFeatures):
    """Base of metrics computed from distances, of which several share one pass; see `Together`."""

    @abstractmethod
    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Return what `numbers` is computed from.

        Args:
            real: real features (N, D).
            fake: generated features (M, D).

        Raises:
            ValueError: if there are too few samples.
        """

    @abstractmethod
    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return the metric's numbers by name.

        Args:
            real: real features (N, D).
            fake: generated features (M, D).
            found: what the pass found, at least what was needed.
        """

    def compute(self) -> dict[str, Tensor]:
        """Return the metric's numbers by name, from a pass of its own."""
        real, fake = self.features()
        return self.numbers(real, fake, distance_pass(real, fake, self.needs(real, fake)))


class Together(StoredFeatures):
    """Several metrics of distances over the same features, from one pass over the distances.

    Args:
        metrics: the metrics, for their settings; features are given to this one. Their numbers have different names.

    Raises:
        TypeError: if a metric cannot share a pass, see `can_share`.

    Example:
        >>> import torch
        >>> from zoo.metrics import CMMD, DensityCoverage, Together
        >>> metric = Together([DensityCoverage(k=1), CMMD()])
        >>> metric.update(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), real=True)
        >>> metric.update(torch.tensor([[0.25], [1.25]]), real=False)
        >>> sorted(metric.compute())
        ['cmmd', 'coverage', 'density']
    """

    higher_is_better = None

    def __init__(self, metrics: Sequence[DistanceMetric]) -> None:
        super().__init__()
        for metric in metrics:
            if not can_share(metric):
                raise TypeError(
                    f"metrics: {type(metric).__name__} cannot be computed together with others, since it is no "
                    "DistanceMetric or has its own update, features or compute. Use it by itself, or let it override "
                    "needs and numbers only"
                )
        self.metrics = list(metrics)

    def compute(self) -> dict[str, Tensor]:
        """Return the numbers of all metrics by name.

        Raises:
            ValueError: if two metrics compute a number of the same name.
        """
        numbers: dict[str, Tensor] = {}
        owners: dict[str, str] = {}
        for metric, own in zip(self.metrics, numbers_of_each(self.metrics, *self.features())):
            owner = type(metric).__name__
            for name in own:
                if name in owners:
                    raise ValueError(
                        f"metrics: {owners[name]} and {owner} both compute {name!r}, of which only one number can be "
                        "returned. Put one of them in a Together of its own, or give its number another name"
                    )
            owners |= dict.fromkeys(own, owner)
            numbers |= own
        return numbers


def numbers_of_each(metrics: Sequence[DistanceMetric], real: Tensor, fake: Tensor) -> list[dict[str, Tensor]]:
    """Compute the numbers of several metrics from one pass over the distances, and keep them apart.

    Args:
        metrics: the metrics, for their settings.
        real: real features (N, D).
        fake: generated features (M, D), on the same device.

    Returns:
        The numbers of each metric by name, in the order of `metrics`; two metrics may use the same names.

    Raises:
        ValueError: if a metric has too few samples or cannot use the features.
    """
    needs = Needs()
    for metric in metrics:
        needs |= metric.needs(real, fake)
    found = distance_pass(real, fake, needs)
    return [metric.numbers(real, fake, found) for metric in metrics]


def can_share(metric: FeatureMetric) -> bool:
    """Check that a metric's numbers can come from a pass that others share.

    Those of a class that stores its features in another way, or changes its numbers after the pass, cannot.
    """
    if not isinstance(metric, DistanceMetric):
        return False
    kind = type(metric)
    own = kind.update, kind.features, kind.compute
    return own == (StoredFeatures.update, StoredFeatures.features, DistanceMetric.compute)


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
    found = distance_pass(real, fake, Needs(rules=tuple(rules)))
    return [found.statistics[rule] for rule in rules]


def distance_pass(real: Tensor, fake: Tensor, needs: Needs) -> Found:
    """Compute all that metrics need from one pass over the distances: within each side, then between them.

    Args:
        real: real features (N, D).
        fake: generated features (M, D), on the same device.
        needs: what is needed.

    Raises:
        ValueError: if a side has too few samples, the numbers of features differ, or a feature vector has no direction
            where one is needed.
    """
    of_fake = {rule.k for rule in needs.rules}
    of_real = of_fake | ({1} if needs.nearest else set())
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real and generated features must be equally wide; got {real.shape[1]} and {fake.shape[1]}")
    # as many real ones are drawn as are generated, so generated ones are named first
    for side, n, ks in (("generated", len(fake), of_fake), ("real", len(real), of_real)):
        if ks and n <= max(ks):
            raise ValueError(f"k={max(ks)} nearest neighbours need at least {max(ks) + 1} {side} samples; got {n}")
    _require_directions(real, fake, needs)
    with full_float32(real.device), torch.no_grad():
        real_neighbours, real_means = _within(real, of_real, needs.kernels)
        fake_neighbours, fake_means = _within(fake, of_fake, needs.kernels)
        if not len(real) or not len(fake):
            nowhere = torch.tensor(torch.nan)
            return Found(
                {}, {kernel: Means(real_means[kernel], fake_means[kernel], nowhere) for kernel in needs.kernels}
            )
        a, b = Cloud.of(real, fake)
        balls = Memberships(a, b, needs.rules, real_neighbours, fake_neighbours)
        sums = {kernel: KernelSum(kernel, a, b) for kernel in needs.kernels}
        nearest = NearestReal(a, b) if needs.nearest else None
        directions = Directions(a, b) if needs.directions else None
        visitors: list[Any] = [v for v in (*sums.values(), nearest, directions, balls) if v is not None]
        for rows in tiles(len(a)):
            for columns in tiles(len(b)):
                block = squared_distances(a, rows, b, columns)
                for visitor in visitors:
                    visitor.visit(rows, columns, block)
        means = {kernel: Means(real_means[kernel], fake_means[kernel], sums[kernel].mean()) for kernel in needs.kernels}
        found = Found(balls.statistics, means)
        if nearest is not None:
            to_real = nearest_of(nearest.candidates, b, a)
            found.to_real, found.spacing = to_real.radii, real_neighbours[1].radii[to_real.indices[:, 0]]
        if directions is not None:
            found.cosines = directions.cosines()
    return found


def _require_directions(real: Tensor, fake: Tensor, needs: Needs) -> None:
    """Check that features have a direction where a kernel needs it."""
    if not any(kernel.unit for kernel in needs.kernels):
        return
    for side, features in (("real", real), ("generated", fake)):
        empty = int((features == 0).all(1).sum())
        if empty:
            raise ValueError(
                f"features of {empty:,} {side} samples are all 0: they have no direction, and cannot be scaled to "
                "length 1"
            )


def _within(
    features: Tensor, ks: set[int], kernels: Sequence[Kernel]
) -> tuple[dict[int, Neighbours], dict[Kernel, Tensor]]:
    """Go through the distances of one side, and return its neighbours by k and the means of kernels."""
    if not len(features) or not (ks or kernels):
        return {}, {kernel: torch.tensor(torch.nan) for kernel in kernels}
    (cloud,) = Cloud.of(features)
    sums = {kernel: KernelSum(kernel, cloud, cloud) for kernel in kernels}
    own = OwnNeighbours(cloud, ks) if ks else None
    parts = tiles(len(cloud))
    for i, rows in enumerate(parts):
        for columns in parts[i:]:  # the matrix is symmetric
            block = squared_distances(cloud, rows, cloud, columns)
            if rows == columns:
                block.fill_diagonal_(0)  # where rounding leaves a little, which a narrow kernel would see
            for each in sums.values():
                each.visit(rows, columns, block)
            if own is not None:
                own.visit(rows, columns, block)  # last: it writes on the diagonal
    return own.found() if own is not None else {}, {kernel: each.mean() for kernel, each in sums.items()}
