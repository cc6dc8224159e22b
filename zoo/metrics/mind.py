"""Monge Inception distance (MIND; Berthet et al. 2026, arXiv:2605.06797)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.layers.precision import full_float32
from zoo.metrics.accumulate import StoredFeatures, require_samples, subset
from zoo.metrics.projections import sorted_projections


class MIND(StoredFeatures):
    """Sliced 2-Wasserstein distance between features, times 3 D. Lower is better, 0 is best.

        MIND = 3 D / (P n) sum_{p <= P} sum_{i <= n} (sort(X u_p)_i - sort(Y u_p)_i)^2

    X are n real features, Y n generated ones, and u_p P random directions of length 1. No Gaussian is fitted, so the
    distance sees more than means and covariances; at few samples its bias is far below that of a Fréchet distance.
    Directions, and the subset of the larger side where sides differ in size, are drawn as torch-fidelity draws them
    (5e211a9, after 0.4.0): the same seed gives the same number, to 1e-7.

    Args:
        projections: number of directions P.
        seed: seed of the directions and of the subset.

    Example:
        A shift of 2 along each of two axes is a squared distance of 8, of which a direction sees a half on average:

        >>> import torch
        >>> from zoo.metrics import MIND
        >>> real = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> metric = MIND()
        >>> metric.update(real, real=True)
        >>> metric.update(real + 2, real=False)
        >>> round(metric.compute()["mind"].item() / (3 * 2))
        4
    """

    higher_is_better = False

    def __init__(self, projections: int = 1000, seed: int = 2020) -> None:
        super().__init__()
        require_at_least(1, projections=projections)
        self.projections, self.seed = projections, seed

    def compute(self) -> dict[str, Tensor]:
        """Return `mind`."""
        real, fake = self.features()
        require_samples(1, "MIND", len(real), len(fake))
        if real.shape[1] != fake.shape[1]:
            raise ValueError(
                f"real and generated features must be equally wide; got {real.shape[1]} and {fake.shape[1]}"
            )
        generator = torch.Generator().manual_seed(self.seed)
        n, width = min(len(real), len(fake)), real.shape[1]
        real, fake = (
            side if len(side) == n else subset(side, torch.randperm(len(side), generator=generator)[:n])
            for side in (real, fake)
        )
        directions = torch.randn(self.projections, width, generator=generator)
        directions /= directions.norm(dim=1, keepdim=True)
        centre = real.mean(0, dtype=torch.float64).to(real.dtype)  # a common shift changes no distance
        total = torch.zeros((), dtype=torch.float64, device=real.device)
        with full_float32(real.device):
            sides = [(side - centre).float() for side in (real, fake)]
            for first, second in sorted_projections(directions.to(real.device), *sides):
                total += (first - second).double().square().sum()
        return self.named(mind=3 * width * total / (n * self.projections))
