"""Density and coverage (Naeem et al. 2020, arXiv:2002.09797)."""

from __future__ import annotations

from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import StoredFeatures
from zoo.metrics.neighbours import NeighbourStatistics, Rule, neighbour_statistics


def density_and_coverage(statistics: NeighbourStatistics, k: int) -> dict[str, Tensor]:
    """Mean number of real balls around a generated sample over k, and share of real balls that are not empty."""
    return {
        "density": statistics.real_around_fake.double().mean() / k,
        "coverage": (statistics.fake_in_real > 0).double().mean(),
    }


def expected_coverage(real: int, fake: int, k: int) -> float:
    """Coverage of honest samples: 1 less the chance that k real neighbours come before the first generated one."""
    missed = 1.0
    for i in range(k):
        missed *= (real - 1 - i) / (fake + real - 1 - i)
    return 1 - missed


class DensityCoverage(StoredFeatures):
    """Density: how deep generated samples lie among real ones, 1 for honest samples, without a ceiling.

    Coverage: share of real samples with a generated one nearer than their k-th real neighbour; `expected_coverage` for
    honest samples, about 1 - 2^-k for equally many on both sides. Generated samples make no balls, so outliers among
    them do no harm.

    Args:
        k: neighbours, the sample itself left out; the paper's 5.
        strict: samples on a ball's rim are outside, as in the authors' package `prdc`.
    """

    higher_is_better = True

    def __init__(self, k: int = 5, strict: bool = True) -> None:
        super().__init__()
        require_at_least(1, k=k)
        self.rule = Rule(k, strict)

    def compute(self) -> dict[str, Tensor]:
        """`density` and `coverage`."""
        (statistics,) = neighbour_statistics(*self.features(), [self.rule])
        return density_and_coverage(statistics, self.rule.k)
