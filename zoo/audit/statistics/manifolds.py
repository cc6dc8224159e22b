"""Numbers of two clouds of features, for generated images and for real ones in their place, against the same images.

Held-out images are halved at random: one half is the reference, the other takes the generator's place. As many
generated images are drawn, so that all sizes are equal, and this is done several times. The deviation over halves of
one set is the standard error at the full size (see `statistics.random_halves`); intervals are the mean and 1.96 of it.
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
LARGEST = 2_500  # images on each side: products of distances grow with the square
CLUSTERS = 20  # of the curve of precision against recall, as in the paper

SAYS = {
    "precision": "share of generated images that lie among real ones",
    "recall": "share of real images that lie among generated ones",
    "density": "how deep generated images lie among real ones; 1 for the real distribution",
    "coverage": "share of real images with a generated one nearby",
    "class frequencies, Fréchet distance": "between the class memberships of generated and real images",
}

Numbers = dict[str, float]


@dataclass(frozen=True)
class Halves:
    """Numbers by name over random halves, (repeats,) each: of generated images, and of real ones in their place."""

    generated: dict[str, NDArray[np.float64]]
    null: dict[str, NDArray[np.float64]]
    n: int

    def statistic(self, name: str) -> Statistic:
        """Means and intervals."""
        top = 1.0 if name in ("precision", "recall", "coverage") else math.inf
        value, low, high = _interval(self.generated[name], top)
        null, null_low, null_high = _interval(self.null[name], top)
        return Statistic(name, value, low, high, null, null_low, null_high, self.n, says=SAYS.get(name, ""))


def over_halves(
    fake: Tensor,
    real: Tensor,
    measure: Callable[[Tensor, Tensor], Numbers],
    repeats: int,
    seed: int,
    largest: int = LARGEST,
) -> Halves:
    """Measure (reference, in the generator's place) on random halves of real rows and as many generated ones."""
    found: dict[str, list[Numbers]] = {"generated": [], "null": []}
    n = 0
    for reference, other, drawn in _thirds(len(real), len(fake), repeats, seed, largest):
        n = len(reference)
        found["generated"].append(measure(real[reference], fake[drawn]))
        found["null"].append(measure(real[reference], real[other]))
    sides = [{name: np.array([row[name] for row in rows]) for name in rows[0]} for rows in found.values()]
    return Halves(sides[0], sides[1], n)


def _thirds(real: int, fake: int, repeats: int, seed: int, largest: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(seed + 1)
    n = min(real // 2, fake, largest)
    for one, two in random_halves(real, repeats, seed):
        yield one[:n], two[:n], torch.randperm(fake, generator=draw)[:n]


def neighbourhoods(real: Tensor, fake: Tensor) -> Numbers:
    """Improved precision and recall, density and coverage."""
    first, second = neighbour_statistics(real, fake, [PRECISION, DENSITY])
    found = precision_and_recall(first) | density_and_coverage(second, DENSITY.k)
    return {name: float(value) for name, value in found.items()}


def frequencies(real: Tensor, fake: Tensor) -> Numbers:
    """Fréchet distance between class memberships (N, K) (Bau et al. 2019, arXiv:1910.11626, where they are areas)."""
    return {"class frequencies, Fréchet distance": float(frechet_distance_of_rows(real, fake))}


def curves(
    fake: Tensor, real: Tensor, runs: int, seed: int
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Precision and recall at all slopes (Sajjadi et al. 2018), of generated images and of real ones in their place."""
    reference, other, drawn = next(_thirds(len(real), len(fake), 1, seed, LARGEST))
    found = []
    for side in (fake[drawn], real[other]):
        metric = PRD(min(CLUSTERS, max(2, len(reference) // 5)), runs, seed % 2**31)
        metric.update(real[reference], real=True)
        metric.update(side, real=False)
        metric.compute()
        assert metric.curve is not None
        found.append(metric.curve)
    return found[0], found[1]


def _interval(values: NDArray[np.float64], top: float) -> tuple[float, float | None, float | None]:
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, None
    error = Z95 * float(values.std(ddof=1))
    return mean, max(0.0, mean - error), min(top, mean + error)
