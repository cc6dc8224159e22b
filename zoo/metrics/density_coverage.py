"""Density and coverage (Naeem et al. 2020, arXiv:2002.09797)."""

from __future__ import annotations

from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs
from zoo.metrics.neighbours import NeighbourStatistics, Rule


def density_and_coverage(statistics: NeighbourStatistics, k: int) -> dict[str, Tensor]:
    """Compute density and coverage from neighbour statistics; see `DensityCoverage`.

    Args:
        statistics: neighbour statistics of `Rule(k, strict)`.
        k: number of neighbours.

    Example:
        >>> import torch
        >>> from zoo.metrics import Rule, density_and_coverage, neighbour_statistics
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> (statistics,) = neighbour_statistics(real, real[:2] + 0.25, [Rule(k=1, strict=True)])
        >>> {name: value.item() for name, value in density_and_coverage(statistics, k=1).items()}
        {'density': 2.0, 'coverage': 0.75}
    """
    return {
        "density": statistics.real_around_fake.double().mean() / k,
        "coverage": (statistics.fake_in_real > 0).double().mean(),
    }


def expected_coverage(real: int, fake: int, k: int) -> float:
    """Compute the expected coverage of a perfect generator, whose samples have the distribution of the real ones.

        E[coverage] = 1 - prod_{i=1..k} (N - i) / (M + N - i)

    This is one minus the probability that the k nearest samples of a real one, on either side, are all real.

    Args:
        real: number of real samples N.
        fake: number of generated samples M.
        k: number of neighbours.

    Example:
        >>> from zoo.metrics import expected_coverage
        >>> round(expected_coverage(real=10_000, fake=10_000, k=5), 4)
        0.9688
    """
    missed = 1.0
    for i in range(k):
        missed *= (real - 1 - i) / (fake + real - 1 - i)
    return 1 - missed


class DensityCoverage(DistanceMetric):
    """Density and coverage: fidelity and diversity of generated samples, robust to outliers among them.

    B(x_i) is the ball around the real sample x_i that reaches to its k-th nearest other real sample; y_j are the M
    generated samples and N is the number of real ones:

        density  = 1/(k M) sum_j sum_i [y_j in B(x_i)]
        coverage = 1/N sum_i [some y_j in B(x_i)]

    Density is 1 on average for a perfect generator and has no upper bound. Coverage lies in [0, 1]; a perfect generator
    gets `expected_coverage`, about 1 - 2^-k for M = N. Both equal those of the authors' package `prdc` 0.2 to 1e-12.

    Args:
        k: number of neighbours, the sample itself not counted; 5 in the paper.
        strict: exclude the boundary of the balls, as `prdc` does.

    Example:
        >>> import torch
        >>> from zoo.metrics import DensityCoverage
        >>> metric = DensityCoverage(k=1)
        >>> metric.update(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), real=True)
        >>> metric.update(torch.tensor([[0.25], [1.25]]), real=False)
        >>> {name: value.item() for name, value in metric.compute().items()}
        {'density': 2.0, 'coverage': 0.75}
    """

    higher_is_better = True

    def __init__(self, k: int = 5, strict: bool = True) -> None:
        super().__init__()
        require_at_least(1, k=k)
        self.rule = Rule(k, strict)

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the statistics of one rule; see `DistanceMetric.needs`."""
        return Needs(rules=(self.rule,))

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `density` and `coverage`; see `DistanceMetric.numbers`."""
        return density_and_coverage(found.statistics[self.rule], self.rule.k)
