"""Fréchet distance extrapolated to infinitely many samples (Chong and Forsyth 2020, arXiv:1911.07023)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, require_samples, subset
from zoo.metrics.frechet import factor, mean_and_covariance, moments, trace_of_root, warn_of_bias


class FIDInfinity(StoredFeatures):
    """Where the Fréchet distance goes as the generated samples grow in number; the real ones stay as they are.

    The distance is computed at `points` sample sizes, evenly spaced from min(`least`, M / 10) to all M, on subsets
    drawn without replacement; a line is fitted through it as a function of 1/M and read off at 0. That line holds where
    the sizes exceed the width by far; below, there is a warning. The bias by the number of real samples remains.

    Args:
        points: sample sizes.
        least: the smallest sample size, where M / 10 is not smaller.
        seed: of the subsets.
        name: key of the result; `<name>_slope` is the line's slope, the bias at M being about slope / M.
    """

    higher_is_better = False

    def __init__(self, points: int = 15, least: int = 5000, seed: int = 0, name: str = "fid_infinity") -> None:
        super().__init__()
        if points < 2 or least < 2:
            raise ValueError(f"points and least must be at least 2; got {points} and {least}")
        self.points, self.least, self.seed, self.name = points, least, seed, name

    def compute(self) -> dict[str, Tensor]:
        """Intercept and slope of the distance as a line in 1/M."""
        real, fake = self.features()
        require_samples(2, self.name, len(real))
        require_samples(20, self.name, len(real), len(fake))
        sizes = np.linspace(min(self.least, len(fake) // 10), len(fake), self.points).astype(int)
        warn_of_bias(f"{self.name}'s smallest subset", real.shape[1], len(real), int(sizes[0]))
        distances = self.distances(real, fake, sizes)
        slope, intercept = np.polyfit(1 / sizes, distances, 1)
        return self.named(**{self.name: float(intercept), f"{self.name}_slope": float(slope)})

    def distances(self, real: Tensor, fake: Tensor, sizes: np.ndarray) -> list[float]:
        """The distance at each number of generated samples."""
        draw = np.random.default_rng(self.seed)
        mean, covariance = mean_and_covariance(moments(real))
        root = factor(covariance)
        found = []
        for size in sizes:
            chosen = subset(fake, torch.from_numpy(draw.permutation(len(fake))[:size]))
            m, c = mean_and_covariance(moments(chosen))
            distance = (mean - m).square().sum() + covariance.trace() + c.trace() - 2 * trace_of_root(root, factor(c))
            found.append(float(distance))
        return found
