"""Layers with equalized learning rate (Karras et al. 2018, arXiv:1710.10196, section 4.1).

Weights start as N(0, 1) and are multiplied at each use by He's constant, `gain / sqrt(fan_in)`. Adam's step does not
depend on the scale of the gradient, so every weight moves at the same relative speed, whatever the width of its layer.
Biases start at 0 and are not scaled, as in the authors' code (tkarras/progressive_growing_of_gans, networks.py).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.layers.convolution import conv2d
from zoo.layers.resampling import convolve_doubled

HE = math.sqrt(2)


class EqualizedConv2d(nn.Module):
    """Convolution with stride 1 that keeps the size of its maps.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        kernel_size: odd side of the kernel.
        gain: gain of the nonlinearity that follows: sqrt(2) for a rectifier, 1 for none.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, gain: float = HE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * kernel_size**2)
        self.padding = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Convolve maps (B, inputs, H, W) to (B, outputs, H, W)."""
        x, weight = scaled(x, self.weight, self.scale)
        return conv2d(x, weight, self.bias, padding=self.padding)


class EqualizedDoublingConv2d(EqualizedConv2d):
    """3x3 convolution of maps whose size is doubled before, both in one, see `zoo.layers.resampling`."""

    def __init__(self, inputs: int, outputs: int, gain: float = HE) -> None:
        super().__init__(inputs, outputs, 3, gain)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, 2H, 2W)."""
        return convolve_doubled(x, self.weight * self.scale, self.bias)


class EqualizedLinear(nn.Module):
    """Fully connected layer.

    Args:
        inputs: number of input features.
        outputs: number of output features.
        gain: gain of the nonlinearity that follows: sqrt(2) for a rectifier, 1 for none.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = HE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, inputs) to (B, outputs)."""
        x, weight = scaled(x, self.weight, self.scale)
        return linear(x, weight, self.bias)


def scaled(x: Tensor, weight: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return the input and the weight of a linear map, one of them multiplied: the smaller one, which is cheaper.

    In an exported network, whose batch may have any size, it is the weight.
    """
    if torch.compiler.is_compiling() or x.numel() >= weight.numel():
        return x, weight * scale
    return x * scale, weight


@torch.no_grad()
def unequalize(network: nn.Module) -> None:
    """Multiply the constants of all equalized layers into their weights, in place, and set the constants to 1.

    The network computes the same, but its weights then learn at the optimizer's rate without equalisation.
    """
    for module in network.modules():
        if isinstance(module, EqualizedConv2d | EqualizedLinear):
            module.weight.mul_(module.scale)
            module.scale = 1.0
