"""Vendi score (Friedman and Dieng 2023, arXiv:2210.02410)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, require_samples

ROWS_AT_ONCE = 4096  # rows converted to float64 at once


def vendi_score(features: Tensor, order: float = 1.0, normalise: bool = True) -> Tensor:
    """Compute the Vendi score of features (N, D): the exponential of the entropy of their similarities' eigenvalues.

    The similarity of two samples is the product of their features. The eigenvalues of the N x N matrix are those of the
    D x D matrix of second moments, so the smaller one is used; both in float64.

    Args:
        features: features (N, D).
        order: order of the entropy: 1 for Shannon's, 2 for Rényi's of order 2, infinity for the largest eigenvalue.
        normalise: divide features by their length, so that the similarity is the cosine.

    Returns:
        The score, a scalar in float64.
    """
    few = len(features) < features.shape[1]
    if few:
        rows = _rows(features, normalise)
        similarities = rows @ rows.T
    else:
        width = features.shape[1] + normalise
        similarities = torch.zeros((width, width), dtype=torch.float64, device=features.device)
        for part in torch.split(features, ROWS_AT_ONCE):
            rows = _rows(part, normalise)
            similarities.addmm_(rows.T, rows)
    values = torch.linalg.eigvalsh(similarities / len(features))
    values = values[values > 0]
    if order == 1:
        entropy = -(values * values.log()).sum()
    elif math.isinf(order):
        entropy = -values.max().log()
    else:
        entropy = (values**order).sum().log() / (1 - order)
    score: Tensor = entropy.exp()
    return score


def _rows(features: Tensor, normalise: bool) -> Tensor:
    """Return features in float64, (N, D), or (N, D + 1) of length 1.

    Features of length 0 have no angle: the last column is a direction of their own, in which they are all alike.
    """
    rows = features.double()
    if not normalise:
        return rows
    lengths = rows.norm(dim=1, keepdim=True)
    return torch.cat([rows / torch.where(lengths > 0, lengths, 1.0), (lengths == 0).double()], 1)


class Vendi(StoredFeatures):
    """Vendi score: the effective number of different samples, from 1 (all alike) to their number. Higher is better.

        vendi = exp(-sum_i w_i log w_i),    w_i the eigenvalues of K / n,    K_ij = cos(x_i, x_j)

    It measures the variety of the generated samples alone, without regard to real ones, and grows with their number n.
    So compare it with the score of as many real samples (`vendi_real`, and the floor), not with n: noise has a higher
    score than real images. It equals that of the package vendi-score 0.0.3 (`score_X` and `score_dual`) to 1e-9.

    Args:
        order: order of the entropy; 1 in the paper.
        normalise: divide features by their length, those of length 0 being alike; otherwise the similarity is their
            product.
        of_real: also compute `vendi_real` where there are real samples.

    Example:
        >>> import torch
        >>> from zoo.metrics import Vendi
        >>> metric = Vendi()
        >>> metric.update(torch.eye(4)[[0, 1, 2, 0, 1, 2]], real=False)
        >>> round(metric.compute()["vendi"].item(), 6)  # three different samples
        3.0
    """

    higher_is_better = True

    def __init__(self, order: float = 1.0, normalise: bool = True, of_real: bool = True) -> None:
        super().__init__()
        if not order > 0:
            raise ValueError(f"order must be above 0; got {order}")
        self.order, self.normalise, self.of_real = order, normalise, of_real

    def compute(self) -> dict[str, Tensor]:
        """Return `vendi`, and `vendi_real` if there are real samples."""
        real, fake = self.features()
        require_samples(1, "the Vendi score", len(fake))
        numbers = {"vendi": vendi_score(fake, self.order, self.normalise)}
        if len(real) and self.of_real:
            numbers["vendi_real"] = vendi_score(real, self.order, self.normalise)
        return self.named(**numbers)
