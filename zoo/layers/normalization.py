"""Layers that fix the magnitude of what passes through them."""

from __future__ import annotations

from torch import Tensor, nn


class PixelNorm(nn.Module):
    """Scales each pixel's vector of channels to unit mean square (Karras et al. 2018, arXiv:1710.10196, section 4.2).

    Args:
        epsilon: added to the mean square; the authors' 1e-8.
    """

    def __init__(self, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, H, W), normalised over C; computed in float32, since bf16 loses the small differences."""
        wide = x.float()
        return (wide * (wide.square().mean(1, keepdim=True) + self.epsilon).rsqrt()).to(x.dtype)
