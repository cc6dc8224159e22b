"""Kernel distance between features of real and generated images (Bińkowski et al. 2018, arXiv:1801.01401)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, require_samples, subset


def polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x'y / width + 1)^3 for all pairs of rows: (N, width) and (M, width) to (N, M)."""
    products = x @ y.T
    return products.div_(x.shape[1]).add_(1).pow_(3)


def squared_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy, for as many rows in x as in y; it can be negative."""
    m = len(x)
    within = sum(kernel.sum() - kernel.trace() for kernel in (polynomial_kernel(x, x), polynomial_kernel(y, y)))
    return within / (m * (m - 1)) - 2 * polynomial_kernel(x, y).mean()


class KID(StoredFeatures):
    """Kernel distance: squared maximum mean discrepancy under a cubic kernel, mean over subsets. Lower is better.

    Unbiased: 0 on average where both sides have one distribution, at any n, so slightly negative values are in order.
    Products are in float64. Subsets are drawn as torch-fidelity draws them (generated samples are its first input), so
    with the same seed both take the same ones.

    Args:
        subsets: how many.
        subset_size: samples of each side in a subset, drawn without replacement.
        seed: of the subsets.
        name: key of the mean; `<name>_std` is the deviation over subsets, which is not the mean's error.
    """

    higher_is_better = False

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 2020, name: str = "kid") -> None:
        super().__init__()
        if subsets < 1 or subset_size < 2:
            raise ValueError(f"subsets must be at least 1 and subset_size 2; got {subsets} and {subset_size}")
        self.subsets, self.subset_size, self.seed, self.name = subsets, subset_size, seed, name

    def compute(self) -> dict[str, Tensor]:
        """Mean and deviation over subsets."""
        real, fake = self.features()
        require_samples(self.subset_size, f"{self.name} with subset_size={self.subset_size}", len(real), len(fake))
        draw = np.random.RandomState(self.seed)
        found = []
        for _ in range(self.subsets):
            x, y = (
                subset(side, torch.from_numpy(draw.choice(len(side), self.subset_size, replace=False))).double()
                for side in (fake, real)
            )
            found.append(squared_discrepancy(x, y))
        values = torch.stack(found)
        return self.named(**{self.name: values.mean(), f"{self.name}_std": values.std(correction=0)})
