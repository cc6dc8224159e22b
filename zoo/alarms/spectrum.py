"""Largest singular values of all weights, tracked by a warm-started block power iteration.

The first three singular values of the generator's weights explode before BigGAN collapses (Brock et al. 2019,
arXiv:1809.11096, section 4.1). An exact decomposition at each reading would cost more than the training. Instead, each
reading makes one step of a block power iteration from the vectors of the previous one; weights move little between
readings, so the block follows them. The first reading makes `FIRST_STEPS` steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

COUNT = 3
"""Number of singular values of each weight."""
SPARE = 2
"""Number of further vectors in the block, which make the leading ones converge faster."""
FIRST_STEPS = 8
"""Number of iterations at the first reading."""


class Spectra:
    """Tracker of the largest singular values of several weights; the attribute `vectors` is its state."""

    def __init__(self) -> None:
        self.vectors: dict[str, Tensor] = {}

    @torch.no_grad()
    def of(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Update and return the three largest singular values (3,) of each weight, in descending order.

        Missing values of small matrices are 0; values of a weight that is not finite are infinite.

        Args:
            weights: weights by name, with at least two dimensions; each is the matrix `weight.flatten(1)`.
        """
        return {name: self._update(name, weight) for name, weight in weights.items()}

    def _update(self, name: str, weight: Tensor) -> Tensor:
        matrix = weight.detach().float().flatten(1)
        if not min(matrix.shape) > COUNT:
            values = torch.linalg.svdvals(matrix.nan_to_num())[:COUNT]
            values = torch.where(matrix.isfinite().all(), values, torch.inf)
            return torch.nn.functional.pad(values, (0, COUNT - len(values)))
        steps = 1
        kept = self.vectors.get(name)
        if kept is None or kept.shape[0] != matrix.shape[1]:
            width = min(COUNT + SPARE, *matrix.shape)
            generator = torch.Generator().manual_seed(0)
            kept = torch.randn(matrix.shape[1], width, generator=generator)
            steps = FIRST_STEPS
        vectors = kept.to(matrix.device)
        for _ in range(steps):
            left = torch.linalg.qr(matrix @ vectors).Q
            vectors, triangle = torch.linalg.qr(matrix.T @ left)
        self.vectors[name] = vectors
        values = torch.linalg.svdvals(triangle.nan_to_num())[:COUNT]  # svdvals raises an error for NaN
        return torch.where(triangle.isfinite().all(), values, torch.inf)
