"""Fréchet distance between features of real and generated images (Heusel et al. 2017, arXiv:1706.08500)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import FeatureMetric, check_features, require_finite, require_samples
from zoo.metrics.frechet import add_batch, frechet_distance, mean_and_covariance, merge_moments, warn_of_bias


class FID(FeatureMetric):
    """Fréchet distance between two Gaussians fitted to real and to generated features. Lower is better, 0 is best.

        d^2 = |m_r - m_g|^2 + tr(C_r + C_g - 2 (C_r C_g)^(1/2))    (Heusel et al. 2017, section 4)

    Means m and covariances C (divisor n - 1) are updated in float64 batch by batch; features are not stored. The
    distance equals those of torch-fidelity 0.4.0 and torchmetrics 1.9.0 to 1e-6.

    The estimate is biased upwards, by less for more samples: compare numbers at the same n only, and with
    `zoo.metrics.floor` at this n. With fewer samples than dimensions it stays finite, and a warning is issued.

    The name FID is reserved for features of the 2015 Inception network. Call other distances `FD-<extractor>`.

    Args:
        width: number of features D.
        name: name of the result.

    Example:
        Shifting every sample by 2 in each of two dimensions changes the means alone:

        >>> import torch
        >>> from zoo.metrics import FID
        >>> real = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> metric = FID(width=2)
        >>> metric.update(real, real=True)
        >>> metric.update(real + 2, real=False)
        >>> round(metric.compute()["fid"].item(), 6)
        8.0
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
        """Add a batch of features to the moments.

        Args:
            features: features (B, D).
            real: whether they are of real samples or of generated ones.
        """
        features = check_features(features, self.width).to(self.device)
        add_batch(self.real_moments if real else self.fake_moments, features)

    def compute(self) -> dict[str, Tensor]:
        """Return the distance, under `name`."""
        real, fake = self.real_moments, self.fake_moments
        samples = int(real[0, 0]), int(fake[0, 0])
        require_samples(2, self.name, *samples)
        require_finite(real, fake)
        warn_of_bias(self.name, self.width, *samples)
        return self.named(**{self.name: frechet_distance(*mean_and_covariance(real), *mean_and_covariance(fake))})
