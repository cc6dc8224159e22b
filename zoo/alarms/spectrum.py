"""The largest singular values of every weight, followed by a power iteration that never starts anew.

BigGAN's authors watch the first three of each weight: their explosion announces the collapse (Brock et al. 2019,
arXiv:1809.11096, section 4.1). An exact decomposition at every reading would cost more than the training. Here each
reading makes one step of a block power iteration on `count + 2` vectors kept from the last one. Weights move little
between readings, so the block follows them; the first reading makes several steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

COUNT = 3
SPARE = 2
"""Further vectors, which make the leading ones converge faster."""
FIRST_STEPS = 8


class Spectra:
    """Singular values of weights by name; `vectors` is its state."""

    def __init__(self) -> None:
        self.vectors: dict[str, Tensor] = {}

    @torch.no_grad()
    def of(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The three largest singular values (3,) of each weight, the largest first; 0 where there are fewer.

        Args:
            weights: with two dimensions or more; the first is one side of the matrix, the others together the second.
        """
        return {name: self._follow(name, weight) for name, weight in weights.items()}

    def _follow(self, name: str, weight: Tensor) -> Tensor:
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
        values = torch.linalg.svdvals(triangle.nan_to_num())[:COUNT]  # which refuses what is not finite
        return torch.where(triangle.isfinite().all(), values, torch.inf)
