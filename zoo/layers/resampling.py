"""Doubling and halving of the size: fused with 3x3 convolutions, or bilinear by themselves.

Residual GANs double the size with nearest neighbours before a convolution, or halve it by a 2x2 mean after one. Both
compositions are linear, so each is one convolution with stride 2 and a 4x4 kernel computed from the 3x3 weights: the
same values (up to rounding, borders included) for 16/36 of the multiplications, without the large map in between.
Karras et al. 2018 (arXiv:1710.10196) do the same in their code (`fused_scale`).

The bilinear layers are convolutions of each channel with a constant kernel, whose derivatives of every order are again
such convolutions. With channels last, processors compute them several times faster than one channel at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from zoo.layers.convolution import conv2d, conv_transpose2d


def spread(weight: Tensor) -> Tensor:
    """Average the four copies of a kernel (A, B, 3, 3) shifted by 0 or 1 pixel each way, to (A, B, 4, 4)."""
    return avg_pool2d(weight, 2, stride=1, padding=1)


def convolve_doubled(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Double the size with nearest neighbours, then convolve: (B, C, H, W) to (B, C', 2H, 2W).

    The four pixels that copy one input pixel share its value, so the kernel weights that fall on them add up.

    Args:
        x: maps (B, C, H, W).
        weight: kernel (C', C, 3, 3).
        bias: bias (C',), or None.
    """
    # Transposed before pooling: pooling, and even more its backward pass, is slow on a transposed view.
    transposed = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    return conv_transpose2d(x, 4 * spread(transposed), bias, stride=2, padding=1)


def convolve_halved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve, then average each 2x2 square: (B, C, H, W) to (B, C', H / 2, W / 2).

    The mean of four shifted convolutions is the convolution with the mean of the shifted kernels.

    Args:
        x: maps (B, C, H, W), H and W even.
        weight: kernel (C', C, 3, 3).
        bias: bias (C',), or None.
    """
    return conv2d(x, spread(weight), bias, stride=2, padding=1)


class DoublingConvolution(nn.Conv2d):
    """Layer that doubles the size and convolves, see `convolve_doubled`."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', 2H, 2W)."""
        return convolve_doubled(x, self.weight, self.bias)


class HalvingConvolution(nn.Conv2d):
    """Layer that convolves and halves the size, see `convolve_halved`."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / 2, W / 2)."""
        return convolve_halved(x, self.weight, self.bias)


class BilinearDoubling(nn.Module):
    """Layer that doubles the size of maps bilinearly; outside the maps all is 0.

    Along each axis a new pixel is 3/4 of the nearest old one and 1/4 of the next nearest.

    Args:
        channels: channels of the maps.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kernel", 4 * bilinear_kernel(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, 2H, 2W)."""
        return conv_transpose2d(x, self.kernel, stride=2, padding=1, groups=self.kernel.shape[0])


class BilinearHalving(nn.Module):
    """Layer that halves the size of maps by the weights 1, 3, 3, 1 along each axis; outside the maps all is 0.

    It is a quarter of the transpose of `BilinearDoubling`.

    Args:
        channels: channels of the maps.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kernel", bilinear_kernel(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W), H and W even, to (B, C, H / 2, W / 2)."""
        return conv2d(x, self.kernel, stride=2, padding=1, groups=self.kernel.shape[0])


def bilinear_kernel(channels: int) -> Tensor:
    """Return the kernel (C, 1, 4, 4) with weights 1, 3, 3, 1 along both axes and sum 1; bf16 has all its values."""
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return (torch.outer(weights, weights) / 64).repeat(channels, 1, 1, 1)
