"""Clipped density and clipped coverage (Salvy, Talbot and Thirion 2025, arXiv:2507.01761)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs
from zoo.metrics.neighbours import Rule


def expected_clipped_coverage(real: int, fake: int, k: int) -> Tensor:
    """Compute the expected coverage, before calibration, of m = 0 to M samples of the real distribution.

        f(m) = 1/k E[min(J, k)],    J ~ BetaBinomial(m, k, N - k)

    J is the number of the m samples that fall into the ball of a real sample that reaches to its k-th nearest of N - 1
    others.

    Args:
        real: number of real samples N, above k.
        fake: number of generated samples M.
        k: number of neighbours.

    Returns:
        f(m) (M + 1,) in float64, ascending; 0 for m below k, as in the authors' code.

    Example:
        >>> from zoo.metrics.clipped_density_coverage import expected_clipped_coverage
        >>> [round(value, 4) for value in expected_clipped_coverage(real=3, fake=2, k=1).tolist()]
        [0.0, 0.3333, 0.5]
    """
    m = torch.arange(k, fake + 1, dtype=torch.float64)
    expected = torch.full_like(m, k)
    normaliser = _log_beta(torch.tensor(float(k)), torch.tensor(float(real - k)))
    for j in range(k):  # E[min(J, k)] = k - sum_{j < k} (k - j) P(J = j)
        log_choose = torch.lgamma(m + 1) - torch.lgamma(torch.tensor(j + 1.0).double()) - torch.lgamma(m - j + 1)
        log_p = log_choose + _log_beta(torch.full_like(m, k + j), real + m - k - j) - normaliser
        expected -= (k - j) * log_p.exp()
    return torch.cat([torch.zeros(min(k, fake + 1), dtype=torch.float64), expected / k])


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.double(), b.double()
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


class ClippedDensityCoverage(DistanceMetric):
    """Clipped density and coverage: fidelity and diversity in [0, 1], robust to outliers on both sides.

    B(x) is the ball around a real sample that reaches to its k-th nearest other real sample, and B'(x) the same ball
    with its radius cut down to the median radius; y are the M generated samples and x the N real ones:

        clipped_density  = min(1, mean_y min(1, #{x: y in B'(x)} / k) / mean_x min(1, #{x': x in B'(x')} / k))
        clipped_coverage = g(mean_x min(1, #{y in B(x)} / k))

    The first divides by what real samples get among themselves. The function g is the inverse of the expectation under
    the real distribution (`expected_clipped_coverage`), as a share of M: a clipped coverage of 0.7 is that of a set of
    which 70 % are samples of the real distribution and the others lie far away. A share p of bad samples lowers both by
    p, while density and coverage have no such scale. Both equal those of the authors' code (nicolassalvy/
    ClippedDensityCoverage, 9920dae) to 1e-9.

    Args:
        k: number of neighbours, the sample itself not counted; 5 in the paper.

    Example:
        Half of the samples are far from all real ones:

        >>> import torch
        >>> from zoo.metrics import ClippedDensityCoverage
        >>> points = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0))
        >>> metric = ClippedDensityCoverage()
        >>> metric.update(points[:2000], real=True)
        >>> metric.update(torch.cat([points[2000:3000], points[3000:] + 9]), real=False)
        >>> {name: round(value.item(), 1) for name, value in metric.compute().items()}
        {'clipped_density': 0.5, 'clipped_coverage': 0.5}
    """

    higher_is_better = True

    def __init__(self, k: int = 5) -> None:
        super().__init__()
        require_at_least(1, k=k)
        self.rules = Rule(k, strict=False, clipped=True), Rule(k, strict=True)

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the statistics of clipped and of whole balls; see `DistanceMetric.needs`."""
        return Needs(rules=self.rules)

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `clipped_density` and `clipped_coverage`; see `DistanceMetric.numbers`."""
        clipped, whole = (found.statistics[rule] for rule in self.rules)
        k = self.rules[0].k
        density, of_real = (
            (counts.double() / k).clamp(max=1).mean() for counts in (clipped.real_around_fake, clipped.real_around_real)
        )
        covered = (whole.fake_in_real.double() / k).clamp(max=1).mean()
        expected = expected_clipped_coverage(len(real), len(fake), k).to(covered.device)
        rank = torch.searchsorted(expected, covered)
        return self.named(
            clipped_density=(density / of_real).clamp(max=1),
            clipped_coverage=rank.double() / len(expected),
        )
