"""Fréchet distance extrapolated to infinitely many samples (Chong and Forsyth 2020, arXiv:1911.07023)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, require_samples, subset
from zoo.metrics.frechet import factor, mean_and_covariance, moments, trace_of_root, warn_of_bias


class FIDInfinity(StoredFeatures):
    """Fréchet distance extrapolated to infinitely many generated samples. Lower is better.

        FID_m = FID_inf + slope / m

    The distance is computed on random subsets of m generated samples and all real ones, for `points` sizes m evenly
    spaced from min(`least`, M / 10) to all M; the line is fitted by least squares. The model holds for sizes far above
    the number of features; for smaller ones a warning is issued. The bias due to the number of real samples remains.

    Args:
        points: number of subset sizes.
        least: upper bound of the smallest subset size.
        seed: seed of the subsets.
        name: name of the result; `<name>_slope` is the line's slope, so the bias at M samples is about slope / M.

    Example:
        The same distribution shifted by 3 is at distance 9, whatever the number of samples:

        >>> import torch
        >>> from zoo.metrics import FIDInfinity
        >>> metric = FIDInfinity(points=4)
        >>> metric.update(torch.tensor([[-1.0], [1.0]]).repeat(50, 1), real=True)
        >>> metric.update(torch.tensor([[-1.0], [1.0]]).repeat(500, 1) + 3, real=False)
        >>> round(metric.compute()["fid_infinity"].item())
        9
    """

    higher_is_better = False

    def __init__(self, points: int = 15, least: int = 5000, seed: int = 0, name: str = "fid_infinity") -> None:
        super().__init__()
        if points < 2 or least < 2:
            raise ValueError(f"points and least must be at least 2; got {points} and {least}")
        self.points, self.least, self.seed, self.name = points, least, seed, name

    def compute(self) -> dict[str, Tensor]:
        """Return intercept and slope of the distance as a line in 1/m, under `name` and `<name>_slope`."""
        real, fake = self.features()
        require_samples(20, self.name, len(fake))  # so that a tenth has a covariance
        require_samples(2, self.name, len(real), len(fake))
        sizes = np.linspace(min(self.least, len(fake) // 10), len(fake), self.points).astype(int)
        warn_of_bias(f"{self.name}'s smallest subset", real.shape[1], len(real), int(sizes[0]))
        distances = self.distances(real, fake, sizes)
        slope, intercept = np.polyfit(1 / sizes, distances, 1)
        return self.named(**{self.name: float(intercept), f"{self.name}_slope": float(slope)})

    def distances(self, real: Tensor, fake: Tensor, sizes: np.ndarray) -> list[float]:
        """Compute the distance at each number of generated samples.

        Args:
            real: real features (N, D).
            fake: generated features (M, D).
            sizes: numbers of generated samples, each at most M.
        """
        rng = np.random.default_rng(self.seed)
        mean, covariance = mean_and_covariance(moments(real))
        root = factor(covariance)
        distances = []
        for size in sizes:
            chosen = subset(fake, torch.from_numpy(rng.permutation(len(fake))[:size]))
            m, c = mean_and_covariance(moments(chosen))
            distance = (mean - m).square().sum() + covariance.trace() + c.trace() - 2 * trace_of_root(root, factor(c))
            distances.append(float(distance))
        return distances
