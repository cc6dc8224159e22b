"""Kernel distance between features of real and generated images (Bińkowski et al. 2018, arXiv:1801.01401)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, require_samples, subset
from zoo.metrics.pairwise_distances import tiles


def polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Compute the cubic kernel (x'y / D + 1)^3 of all pairs of rows: (N, D) and (M, D) to (N, M)."""
    products = x @ y.T
    return products.div_(x.shape[1]).add_(1).pow_(3)


def squared_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """Estimate the squared maximum mean discrepancy (MMD) without bias; the estimate can be negative.

    Args:
        x: features (n, D).
        y: features (n, D), as many as `x`.
    """
    m = len(x)
    within = sum(kernel.sum() - kernel.trace() for kernel in (polynomial_kernel(x, x), polynomial_kernel(y, y)))
    return within / (m * (m - 1)) - 2 * polynomial_kernel(x, y).mean()


def discrepancies_of_subsets(x: Tensor, y: Tensor, rows: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Compute `squared_discrepancy` of many subsets from one pass over the kernel of all pairs.

    This takes fewer products than the subsets one by one if these repeat most pairs. Sums over a subset are products of
    the kernel with the subset's indicator.

    Args:
        x: features (N, D).
        y: features (M, D).
        rows: for each of S subsets, the indices (n,) of its rows of `x` and of `y`.

    Returns:
        Discrepancies (S,) in float64.
    """
    n = len(rows[0][0])
    chosen = [torch.zeros(len(side), len(rows), dtype=torch.float64, device=side.device) for side in (x, y)]
    for i, pair in enumerate(rows):
        for indicator, indices in zip(chosen, pair):
            indicator[indices.to(indicator.device), i] = 1

    def total(a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor) -> Tensor:
        result = torch.zeros(len(rows), dtype=torch.float64, device=a.device)
        for i in tiles(len(a)):
            for j in tiles(len(b)):
                if a is not b or j.start >= i.start:  # the kernel of one side is symmetric
                    sums = polynomial_kernel(a[i].double(), b[j].double()) @ of_b[j]
                    result += (of_a[i] * sums).sum(0) * (2 if a is b and j.start > i.start else 1)
        return result

    within = torch.zeros(len(rows), dtype=torch.float64, device=x.device)
    for side, indicator in zip((x, y), chosen):
        lengths = torch.cat([part.double().square().sum(1) for part in torch.split(side, 4096)])
        diagonal = (lengths / side.shape[1] + 1) ** 3
        within += total(side, side, indicator, indicator) - diagonal @ indicator
    return within / (n * (n - 1)) - 2 * total(x, y, *chosen) / n**2


class KID(StoredFeatures):
    """Kernel distance (KID): squared maximum mean discrepancy under a cubic kernel. Lower is better.

        k(x, y) = (x'y / D + 1)^3
        KID     = 1/(n(n-1)) sum_{i != j} [k(x_i, x_j) + k(y_i, y_j)] - 2/n^2 sum_{i,j} k(x_i, y_j)

    with n real features x and n generated features y; the mean over random subsets is returned. The estimate is
    unbiased: its mean is 0 at any n if both sides have the same distribution, so small negative values occur. Products
    are in float64. Subsets are drawn as torch-fidelity draws them (with generated samples as its first input), so the
    same seed gives the same subsets and the same number, to 1e-9.

    Args:
        subsets: number of subsets.
        subset_size: number of samples n of each side in a subset, drawn without replacement.
        seed: seed of the subsets.
        name: name of the mean; `<name>_std` is the standard deviation over subsets, not the error of the mean.

    Example:
        >>> import torch
        >>> from zoo.metrics import KID
        >>> metric = KID(subsets=1, subset_size=2)
        >>> metric.update(torch.tensor([[0.0], [1.0]]), real=True)
        >>> metric.update(torch.tensor([[2.0], [3.0]]), real=False)
        >>> metric.compute()["kid"].item()
        297.5
    """

    higher_is_better = False

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 2020, name: str = "kid") -> None:
        super().__init__()
        if subsets < 1 or subset_size < 2:
            raise ValueError(f"subsets must be at least 1 and subset_size 2; got {subsets} and {subset_size}")
        self.subsets, self.subset_size, self.seed, self.name = subsets, subset_size, seed, name

    def compute(self) -> dict[str, Tensor]:
        """Return mean and standard deviation over subsets, under `name` and `<name>_std`."""
        real, fake = self.features()
        require_samples(self.subset_size, f"{self.name} with subset_size={self.subset_size}", len(real), len(fake))
        rng = np.random.RandomState(self.seed)
        rows = [
            (
                torch.from_numpy(rng.choice(len(fake), self.subset_size, replace=False)),
                torch.from_numpy(rng.choice(len(real), self.subset_size, replace=False)),
            )
            for _ in range(self.subsets)
        ]
        pairs = len(fake) ** 2 / 2 + len(real) ** 2 / 2 + len(fake) * len(real)
        if pairs < 3 * self.subsets * self.subset_size**2:
            values = discrepancies_of_subsets(fake, real, rows)
        else:
            values = torch.stack(
                [squared_discrepancy(subset(fake, i).double(), subset(real, j).double()) for i, j in rows]
            )
        return self.named(**{self.name: values.mean(), f"{self.name}_std": values.std(correction=0)})
