"""Self-attention over the positions of a feature map: Zhang et al. 2019, "Self-Attention Generative Adversarial
Networks", arXiv:1805.08318, section 3, as in the authors' BigGAN code (ajbrock/BigGAN-PyTorch, layers.py): keys and
values are max-pooled to a quarter of the positions, and values have half the channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from zoo.layers.spectral import SpectralConv2d


class SelfAttention(nn.Module):
    """Residual self-attention: `x + gamma * o(softmax(q^T k) v)`, from (B, C, H, W) to the same shape.

    gamma starts at 0, so the layer starts as the identity (section 3, equation 3). The attention is written out instead
    of torch's `scaled_dot_product_attention`, whose fast kernels have no second derivative: the R1 penalty needs one.

    Args:
        channels: channels C of the maps, at least 8; H and W must be even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 8:
            raise ValueError(f"self-attention has queries of channels / 8, so it needs at least 8; got {channels}")
        self.query = SpectralConv2d(channels, channels // 8, 1, bias=False)  # theta in the paper's code
        self.key = SpectralConv2d(channels, channels // 8, 1, bias=False)  # phi
        self.value = SpectralConv2d(channels, channels // 2, 1, bias=False)  # g
        self.output = SpectralConv2d(channels // 2, channels, 1, bias=False)  # o
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Let every position attend to every pooled position."""
        query = self.query(x).flatten(2)  # (B, C/8, H * W)
        key = max_pool2d(self.key(x), 2).flatten(2)  # (B, C/8, H * W / 4)
        value = max_pool2d(self.value(x), 2).flatten(2)  # (B, C/2, H * W / 4)
        weights = (query.transpose(1, 2) @ key).softmax(-1)  # (B, H * W, H * W / 4)
        attended = (value @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        result: Tensor = x + self.gamma * self.output(attended)
        return result
