"""Normalisation of activations."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelNorm(nn.Module):
    """Pixelwise normalisation: `x / sqrt(mean of x^2 over channels + epsilon)` for the channels of each pixel.

    Karras et al. 2018, arXiv:1710.10196, section 4.2.

    Args:
        epsilon: constant added to the mean square; the authors' 1e-8.
    """

    def __init__(self, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C) or (B, C, H, W) over C, at least in float32, since bf16 would lose small differences."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return (wide * (wide.square().mean(1, keepdim=True) + self.epsilon).rsqrt()).to(x.dtype)
