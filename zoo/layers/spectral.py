"""Spectral normalisation: Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks",
arXiv:1802.05957, algorithm 1. Layers divide their weight by an estimate of its largest singular value.

Checked against `torch.nn.utils.parametrizations.spectral_norm` (the same values in training) and the authors' BigGAN
code (ajbrock/BigGAN-PyTorch, layers.py). There are three reasons not to use torch's: its power iteration runs in bf16
under autocast; it copies every channels_last weight to view it as a matrix; and in eval mode it assumes that two stored
vectors are singular vectors of unit length, which those of an averaged generator are not. Here only the right vector
`v` is stored, and it is normalised at each use, so averaged and loaded weights are correct without further steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, interpolate, linear, normalize

from zoo.layers.convolution import conv2d
from zoo.layers.precision import autocast_dtype, without_autocast
from zoo.layers.resampling import convolve_doubled, convolve_halved


class Spectral(nn.Module):
    """Base class of layers with a weight (out, ...) and an estimate of its first right singular vector.

    With W the weight as a matrix with one row for each output, a power iteration computes `u = W v / |W v|`, then
    `v = W^T u / |W^T u|`; the singular value is `u^T W v`. There is one iteration for each forward pass in training
    mode, whichever player moves, as in the authors' code; none in eval mode.
    """

    weight: nn.Parameter
    v: Tensor
    is_fixed = False

    def fix(self) -> None:
        """Replace the weight by the normalised one, for a copy that is not trained, such as an exported one."""
        with torch.no_grad():
            self.weight.copy_(self.normalised_weight())
        self.is_fixed = True

    def restart(self) -> None:
        """Draw a new `v` from the row space of the weight; called after the weight was initialised.

        For an orthogonal weight such a vector gives the exact norm at once, also in eval mode.
        """
        with torch.no_grad():
            matrix = as_matrix(self.weight)
            v = torch.randn_like(matrix[:, 0]) @ matrix
            self.v = as_filter(v / v.norm(), self.weight)

    def normalised_weight(self) -> Tensor:
        """Return the weight divided by the estimate of its largest singular value."""
        if self.is_fixed:
            return self.weight
        with without_autocast(self.weight.device):
            matrix = as_matrix(self.weight)
            with torch.no_grad():
                v = normalize(self.v.movedim(0, -1).flatten(), dim=0)
                u = normalize(matrix @ v, dim=0)
                if self.training:
                    v = normalize(u @ matrix, dim=0)
                    self.v.copy_(as_filter(v, self.weight))
            return self.weight / (u @ (matrix @ v))


def as_matrix(weight: Tensor) -> Tensor:
    """Return (out, in, height, width) as (out, height * width * in); no copy if its memory format is channels_last."""
    return weight.movedim(1, -1).flatten(1)


def as_filter(v: Tensor, weight: Tensor) -> Tensor:
    """Return a row of `as_matrix(weight)` in the shape of one filter of the weight."""
    return v.view(*weight.shape[2:], weight.shape[1]).movedim(-1, 0).contiguous()


class SpectralConv2d(Spectral):
    """Convolution with stride 1 that keeps the size: (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, bias: bool = True) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, kernel_size, bias=bias)
        self.weight, self.bias = nn.Parameter(plain.weight), plain.bias
        self.padding = kernel_size // 2
        self.register_buffer("v", torch.empty(self.weight.shape[1:]))
        self.restart()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the normalised weight; the bias is not normalised."""
        return conv2d(x, self.normalised_weight(), self.bias, padding=self.padding)


class SpectralDoublingConv2d(SpectralConv2d):
    """3x3 convolution of maps whose size is doubled before: (B, in, H, W) to (B, out, 2H, 2W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Double and convolve, with the 3x3 weight normalised before it is fused with the doubling.

        In one operation in float32, where that takes half the time. In bf16 it saves none: on processors with AMX the
        transposed convolution of these wide layers is that much slower.
        """
        weight = self.normalised_weight()
        if torch.bfloat16 in (x.dtype, autocast_dtype(x.device)):
            return conv2d(interpolate(x, scale_factor=2.0), weight, self.bias, padding=1)
        return convolve_doubled(x, weight, self.bias)


class SpectralHalvingConv2d(SpectralConv2d):
    """3x3 convolution fused with the mean of each 2x2 square: (B, in, H, W) to (B, out, H / 2, W / 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and halve, with the 3x3 weight normalised before it is fused with the mean."""
        return convolve_halved(x, self.normalised_weight(), self.bias)


class SpectralLinear(Spectral):
    """Linear layer: (B, in) to (B, out)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        plain = nn.Linear(inputs, outputs, bias=bias)
        self.weight, self.bias = nn.Parameter(plain.weight), plain.bias
        self.register_buffer("v", torch.empty(self.weight.shape[1:]))
        self.restart()

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the normalised weight; the bias is not normalised."""
        return linear(x, self.normalised_weight(), self.bias)


class SpectralEmbedding(Spectral):
    """Embedding of classes, (B,) to (B, features); the table of all vectors is normalised as one matrix."""

    def __init__(self, num_classes: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, features).normal_())
        self.register_buffer("v", torch.empty(features))
        self.restart()

    def forward(self, labels: Tensor) -> Tensor:
        """Return the rows of the normalised table."""
        return embedding(labels, self.normalised_weight())
