"""Precision, recall, density and coverage of generated images, and of real images that stand in for them (the null).

The held-out images are split into random halves: one half is the reference, the other stands in for the generated
images. As many generated images are drawn, so that all sizes are equal, and the split is repeated. The standard
deviation over splits is the standard error at the full size (see `significance.random_halves`); intervals are the mean
plus and minus 1.96 standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.audit.findings.finding import Statistic
from zoo.audit.statistics.significance import Z95, random_halves
from zoo.metrics import PRD, Rule, density_and_coverage, neighbour_statistics, precision_and_recall
from zoo.metrics.frechet import frechet_distance_of_rows

PRECISION = Rule(3, strict=False)  # as in the paper
DENSITY = Rule(5, strict=True)
LARGEST = 2_500  # images on each side: distances between all pairs grow with the square
CLUSTERS = 20  # clusters behind the precision-recall curve, as in the paper

DESCRIPTIONS = {
    "precision": "share of generated images within the manifold of real images",
    "recall": "share of real images within the manifold of generated images",
    "density": "mean number of real neighbourhoods that hold a generated image, over k; 1 for the real distribution",
    "coverage": "share of real images with a generated image in their neighbourhood",
    "class frequencies, Fréchet distance": "between the class memberships of generated and real images",
}

Numbers = dict[str, float]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Precision and recall at all slopes."""


@dataclass(frozen=True)
class Halves:
    """Numbers over random halves.

    Args:
        generated: for each number, its values (R,) of generated images over R repeats.
        null: for each number, its values (R,) of real images that stand in for the generated ones.
        n: number of images in a half.
    """

    generated: dict[str, NDArray[np.float64]]
    null: dict[str, NDArray[np.float64]]
    n: int

    def statistic(self, name: str) -> Statistic:
        """Return the mean of a number over the halves, its interval and its null."""
        top = 1.0 if name in ("precision", "recall", "coverage") else math.inf
        value, low, high = _interval(self.generated[name], top)
        null, null_low, null_high = _interval(self.null[name], top)
        return Statistic(
            name, value, low, high, null, null_low, null_high, self.n, description=DESCRIPTIONS.get(name, "")
        )


def over_halves(
    real: Tensor,
    fake: Tensor,
    measure: Callable[[Tensor, Tensor], Numbers],
    repeats: int,
    seed: int,
    largest: int = LARGEST,
) -> Halves:
    """Measure generated images, and real ones in their place, against random halves of the real images.

    Args:
        real: rows (N, D) of held-out images.
        fake: rows (M, D) of generated images.
        measure: computes numbers from a reference (n, D) and the rows (n, D) to measure.
        repeats: number of random splits.
        seed: seed of the splits.
        largest: largest size n of a half.
    """
    measured: dict[str, list[Numbers]] = {"generated": [], "null": []}
    n = 0
    for reference, other, drawn in _splits(len(real), len(fake), repeats, seed, largest):
        n = len(reference)
        measured["generated"].append(measure(real[reference], fake[drawn]))
        measured["null"].append(measure(real[reference], real[other]))
    sides = [{name: np.array([row[name] for row in rows]) for name in rows[0]} for rows in measured.values()]
    return Halves(sides[0], sides[1], n)


def _splits(real: int, fake: int, repeats: int, seed: int, largest: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Draw indices (n,) of a reference half, of the other half, and of as many generated images."""
    draw = torch.Generator().manual_seed(seed + 1)
    n = min(real // 2, fake, largest)
    for one, two in random_halves(real, repeats, seed):
        yield one[:n], two[:n], torch.randperm(fake, generator=draw)[:n]


def neighbourhoods(real: Tensor, fake: Tensor) -> Numbers:
    """Compute precision and recall (arXiv:1904.06991), density and coverage (arXiv:2002.09797).

    Args:
        real: features (N, D) of real images.
        fake: features (M, D) of generated images.

    Returns:
        The four numbers by name.
    """
    first, second = neighbour_statistics(real, fake, [PRECISION, DENSITY])
    numbers = precision_and_recall(first) | density_and_coverage(second, DENSITY.k)
    return {name: float(value) for name, value in numbers.items()}


def frequencies(real: Tensor, fake: Tensor) -> Numbers:
    """Compute the Fréchet distance between class memberships.

    Bau et al. 2019 (arXiv:1910.11626) compare the areas of object classes in this way.

    Args:
        real: class memberships (N, K) of real images.
        fake: class memberships (M, K) of generated images.

    Returns:
        The distance by name.
    """
    return {"class frequencies, Fréchet distance": float(frechet_distance_of_rows(real, fake))}


def curves(real: Tensor, fake: Tensor, runs: int, seed: int) -> tuple[Curve, Curve]:
    """Compute precision-recall curves (Sajjadi et al. 2018, arXiv:1806.00035).

    Args:
        real: features (N, D) of held-out images.
        fake: features (M, D) of generated images.
        runs: number of clusterings that a curve is averaged over.
        seed: seed of the split and of the clusterings.

    Returns:
        The curve of generated images, and that of real images in their place.
    """
    reference, other, drawn = next(_splits(len(real), len(fake), 1, seed, LARGEST))
    both: list[Curve] = []
    for side in (fake[drawn], real[other]):
        metric = PRD(min(CLUSTERS, max(2, len(reference) // 5)), runs, seed % 2**31)
        metric.update(real[reference], real=True)
        metric.update(side, real=False)
        metric.compute()
        assert metric.curve is not None
        both.append(metric.curve)
    return both[0], both[1]


def _interval(values: NDArray[np.float64], top: float) -> tuple[float, float | None, float | None]:
    """Return the mean of a number over random halves, with its 95 % interval.

    Args:
        values: values (R,) of the number over R repeats.
        top: largest possible value; the interval is clipped to [0, top].

    Returns:
        The mean and both ends of the interval; the ends are None for a single value.
    """
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, None
    error = Z95 * float(values.std(ddof=1))
    return mean, max(0.0, mean - error), min(top, mean + error)
