"""A 3x3 convolution and a change of size in one step.

Residual GANs double the size with nearest neighbours before a convolution, or halve it by a 2x2 mean after one. Both
pairs are linear, so each is one convolution with stride 2 and a 4x4 kernel made of the 3x3 weights: the same values (to
rounding, borders included) for 16/36 of the multiplications, and no large map in between. Karras et al. 2018
(arXiv:1710.10196) do so in their code (`fused_scale`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d


def spread(weight: Tensor) -> Tensor:
    """Mean of the four copies of a (A, B, 3, 3) kernel that are shifted by 0 or 1 pixel each way: (A, B, 4, 4)."""
    return avg_pool2d(weight, 2, stride=1, padding=1)


def convolve_doubled(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Nearest-neighbour doubling of the size, then a 3x3 convolution: (B, C, H, W) to (B, C', 2H, 2W).

    All four pixels of an output square see the same input pixel, so kernel columns that meet there add up.
    """
    # turned before it is spread: pooling, above all its way back, is slow on a transposed view
    turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    return conv_transpose2d(x, 4 * spread(turned), bias, stride=2, padding=1)


def convolve_halved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, then the mean of each 2x2 square: (B, C, H, W) to (B, C', H / 2, W / 2).

    The mean of four shifted convolutions is the convolution with the mean of the shifted kernels.
    """
    return conv2d(x, spread(weight), bias, stride=2, padding=1)


class DoublingConvolution(nn.Conv2d):
    """`convolve_doubled` with a weight and bias of its own."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, H, W) to (B, C', 2H, 2W)."""
        return convolve_doubled(x, self.weight, self.bias)


class HalvingConvolution(nn.Conv2d):
    """`convolve_halved` with a weight and bias of its own."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, H, W) to (B, C', H / 2, W / 2)."""
        return convolve_halved(x, self.weight, self.bias)
