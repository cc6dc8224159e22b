"""Fréchet distance between features of real and generated images (Heusel et al. 2017, arXiv:1706.08500)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import FeatureMetric, check_features, require_finite, require_samples
from zoo.metrics.frechet import add_batch, frechet_distance, mean_and_covariance, merge_moments, warn_of_bias


class FID(FeatureMetric):
    """Fréchet distance: squared distance of two Gaussians fitted to features. 0 for the same set, lower is better.

    Means and covariances (divisor n - 1) are summed in float64 while batches pass; no features are kept. Biased: it
    falls with n, so numbers compare at equal n only. With fewer samples than dimensions it stays finite and warns.

    `FID` as a name belongs to features of the 2015 Inception network alone; name others `FD-<extractor>`.

    Args:
        width: of the features.
        name: key of the result.
    """

    higher_is_better = False
    real_moments: Tensor
    fake_moments: Tensor

    def __init__(self, width: int = 2048, name: str = "fid") -> None:
        super().__init__()
        require_at_least(1, width=width)
        self.width, self.name = width, name
        empty = torch.zeros(width + 1, width + 1, dtype=torch.float64)
        self.add_state("real_moments", default=empty, dist_reduce_fx=merge_moments)
        self.add_state("fake_moments", default=empty.clone(), dist_reduce_fx=merge_moments)

    def update(self, features: Tensor, real: bool) -> None:
        """Add features (B, width) of real or of generated samples."""
        features = check_features(features, self.width).to(self.device)
        add_batch(self.real_moments if real else self.fake_moments, features)

    def compute(self) -> dict[str, Tensor]:
        """The distance, under `name`."""
        real, fake = self.real_moments, self.fake_moments
        samples = int(real[0, 0]), int(fake[0, 0])
        require_samples(2, self.name, *samples)
        require_finite(real, fake)
        warn_of_bias(self.name, self.width, *samples)
        return self.named(**{self.name: frechet_distance(*mean_and_covariance(real), *mean_and_covariance(fake))})
