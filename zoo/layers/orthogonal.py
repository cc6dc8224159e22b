"""Orthogonal regularisation in the relaxed form of BigGAN: Brock et al. 2019, arXiv:1809.11096, section 3.1."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from zoo.layers.precision import without_autocast
from zoo.layers.spectral import as_matrix


def orthogonal_penalty(weights: Iterable[Tensor], strength: float) -> Tensor:
    """Compute `strength / 2 * sum over W of |W W^T * (1 - I)|^2` (equation 3, Frobenius norm), a scalar.

    W has one row for each output; `* (1 - I)` sets the diagonal to 0. The penalty makes filters orthogonal without
    fixing their lengths. It is computed in float32 also under autocast. Its gradient is
    `2 * strength * (W W^T * (1 - I)) W`, that of the authors' code (ajbrock/BigGAN-PyTorch, utils.ortho); the paper's
    equation, which lacks the factor 1/2, has twice that gradient.

    Args:
        weights: weights of layers; those with fewer than two dimensions are skipped.
        strength: weight of the penalty, the paper's beta.
    """
    terms = []
    for weight in weights:
        if weight.ndim < 2:
            continue
        with without_autocast(weight.device):
            matrix = as_matrix(weight)
            products = matrix @ matrix.T
            terms.append((products - products.diagonal().diag_embed()).square().sum())
    return strength / 2 * torch.stack(terms).sum()
