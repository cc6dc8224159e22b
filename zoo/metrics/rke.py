"""Rényi kernel entropy (RKE; Jalali, Li and Farnia, NeurIPS 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.metrics.accumulate import require_samples
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs
from zoo.metrics.visitors import Kernel


class RKE(DistanceMetric):
    """Number of modes by the Rényi kernel entropy of order 2, from 1 to the number of samples. Higher is better.

        rke = 1 / mean_{i,j} k(x_i, x_j)^2,    k(x, y) = exp(-|x - y|^2 / (2 sigma^2))

    It is the exponential of the entropy ("RKE-MC" in the paper): c equal clusters, each tight and far from the others
    by the measure of sigma, give c. Distances are in float32: a sigma below 1/1000 of the features' extent is not
    resolved. The mean is over all pairs of generated samples. Only numbers with the same
    bandwidth compare, and `rke_real` (also the floor) is that of the real samples. It equals the inverse of
    `compute_rke_mc_frobenius_norm` of mjalali/renyi-kernel-entropy (e97951b) to 1e-6.

    Args:
        bandwidth: sigma, in units of the features; None for half the root mean squared distance between two real
            samples.

    Example:
        >>> import torch
        >>> from zoo.metrics import RKE
        >>> metric = RKE(bandwidth=1.0)
        >>> metric.update(torch.tensor([[0.0], [100.0], [200.0]]).repeat(5, 1), real=False)
        >>> round(metric.compute()["rke"].item(), 6)
        3.0
    """

    higher_is_better = True

    def __init__(self, bandwidth: float | None = None) -> None:
        super().__init__()
        if bandwidth is not None and not 0 < bandwidth < math.inf:
            raise ValueError(f"bandwidth must be above 0 and finite; got {bandwidth}")
        self.bandwidth = bandwidth

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the means of one kernel; see `DistanceMetric.needs`."""
        require_samples(1, "RKE", len(fake))
        return Needs(kernels=(self._kernel(real),))

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `rke`, `rke_bandwidth`, and `rke_real` if there are real samples; see `DistanceMetric.numbers`."""
        kernel = self._kernel(real)
        means = found.means[kernel]
        numbers = {"rke": 1 / means.fake, "rke_bandwidth": torch.tensor(kernel.gamma**-0.5)}
        if len(real):
            numbers["rke_real"] = 1 / means.real
        return self.named(**numbers)

    def _kernel(self, real: Tensor) -> Kernel:
        """Return the kernel, squared."""
        bandwidth = self.bandwidth
        if bandwidth is None:
            if len(real) < 2:
                raise ValueError(
                    f"RKE takes its bandwidth from real samples; got {len(real)} of them. Give bandwidth=, in units of "
                    "the features, or at least 2 real samples"
                )
            # The mean squared distance of two samples is twice the trace of the covariance.
            variance = sum(
                part.double().sub(real.mean(0, dtype=torch.float64)).square().sum() for part in torch.split(real, 4096)
            ) / (len(real) - 1)
            bandwidth = float((variance / 2) ** 0.5)
            if not bandwidth:
                raise ValueError("RKE takes its bandwidth from real samples, and all are equal. Give bandwidth=")
        return Kernel(1 / bandwidth**2)
