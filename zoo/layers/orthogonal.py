"""Orthogonal regularisation as BigGAN relaxes it: Brock et al. 2019, arXiv:1809.11096, section 3.1, equation 3."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from zoo.layers.precision import without_autocast
from zoo.layers.spectral import as_matrix


def orthogonal_penalty(weights: Iterable[Tensor], strength: float) -> Tensor:
    """`strength / 2 * sum of |W W^T, diagonal left out|^2` (Frobenius), W with one row for each output; a scalar.

    It keeps filters apart without holding their lengths. Computed in float32 also under autocast. Its gradient is
    `2 * strength * (W W^T, diagonal left out) W`, that of the official code (ajbrock/BigGAN-PyTorch, utils.ortho); the
    paper's equation without the half has twice that gradient. What has fewer than two dimensions is passed over.
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
