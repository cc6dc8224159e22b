"""CLIP maximum mean discrepancy (CMMD; Jayasumana et al. 2024, arXiv:2401.09603)."""

from __future__ import annotations

import math

from torch import Tensor

from zoo.metrics.accumulate import require_samples
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs
from zoo.metrics.visitors import Kernel


class CMMD(DistanceMetric):
    """Squared maximum mean discrepancy (MMD) under a Gaussian kernel, times 1000. Lower is better.

        k(x, y) = exp(-|x - y|^2 / (2 sigma^2))
        CMMD    = scale (mean_{i,j} k(x_i, x_j) + mean_{i,j} k(y_i, y_j) - 2 mean_{i,j} k(x_i, y_j))

    Means are over all pairs of n real features x and m generated ones y, those of a sample with itself included: the
    estimator is biased upwards by about scale (1 - mean k) (1/n + 1/m), so compare it with its floor. Unlike a Fréchet
    distance it assumes no Gaussian features. Published numbers are of CLIP ViT-L/14 (336 px) embeddings of length 1,
    with the same sigma and scale; with other features the value is comparable with its floor only. It equals
    `distance.mmd` of sayakpaul/cmmd-pytorch on the same features in float64, to 1e-6.

    Args:
        sigma: bandwidth of the kernel, in units of the features; 10 in the paper.
        scale: factor that makes the number readable; 1000 in the paper.
        normalise: divide features by their length, as CLIP embeddings are in the paper; False takes them as they are.

    Example:
        >>> import torch
        >>> from zoo.metrics import CMMD
        >>> metric = CMMD()
        >>> metric.update(torch.zeros(3, 1), real=True)
        >>> metric.update(torch.full((2, 1), 10.0), real=False)
        >>> round(metric.compute()["cmmd"].item(), 2)  # 2000 (1 - exp(-1/2))
        786.94
    """

    higher_is_better = False

    def __init__(self, sigma: float = 10.0, scale: float = 1000.0, normalise: bool = False) -> None:
        super().__init__()
        if not 0 < sigma < math.inf or not 0 < scale < math.inf:
            raise ValueError(f"sigma and scale must be above 0 and finite; got {sigma} and {scale}")
        self.scale, self.kernel = scale, Kernel(1 / (2 * sigma**2), unit=normalise, less_one=True)

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the means of one kernel; see `DistanceMetric.needs`."""
        require_samples(1, "CMMD", len(real), len(fake))
        return Needs(kernels=(self.kernel,))

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `cmmd`; see `DistanceMetric.numbers`."""
        means = found.means[self.kernel]
        return self.named(cmmd=self.scale * (means.real + means.fake - 2 * means.across))
