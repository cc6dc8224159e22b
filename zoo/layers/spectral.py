"""Spectral normalisation: Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks",
arXiv:1802.05957, algorithm 1; which layers divide a weight by an estimate of its largest singular value.

Checked against `torch.nn.utils.parametrizations.spectral_norm` (the same values in training) and the official BigGAN
code (ajbrock/BigGAN-PyTorch, layers.py). Why not torch's: its power iteration runs in bf16 under autocast; it copies
every channels_last weight to see it as a matrix; and in eval mode it trusts two stored vectors to be singular vectors
of unit length, which those of an averaged generator are not. Only the right vector `v` is stored here, and it is given
unit length where it is used, so averages and loaded weights are right as they come.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear, normalize

from zoo.layers.precision import without_autocast
from zoo.layers.resampling import convolve_halved


class Spectral(nn.Module):
    """What the layers below have in common: a weight (out, ...) and an estimate of its first right singular vector.

    One power iteration for each forward pass in training mode, whoever is learning, as in the official code; none in
    eval mode. The largest singular value is that of the weight as a matrix with one row for each output.
    """

    weight: nn.Parameter
    v: Tensor

    def restart(self) -> None:
        """Draw `v` anew from the row space of the weight; called after the weight was initialised.

        An orthogonal weight has its norm at once from such a vector, also in eval mode.
        """
        with torch.no_grad():
            matrix = as_matrix(self.weight)
            v = torch.randn_like(matrix[:, 0]) @ matrix
            self.v = as_filter(v / v.norm(), self.weight)

    def normalised_weight(self) -> Tensor:
        """The weight divided by its largest singular value as far as it is known."""
        with without_autocast(self.weight.device):  # known to 8 bits, the singular value would change in each pass
            matrix = as_matrix(self.weight)
            with torch.no_grad():
                v = normalize(self.v.movedim(0, -1).flatten(), dim=0)
                u = normalize(matrix @ v, dim=0)
                if self.training:
                    v = normalize(u @ matrix, dim=0)
                    self.v.copy_(as_filter(v, self.weight))
            return self.weight / (u @ (matrix @ v))


def as_matrix(weight: Tensor) -> Tensor:
    """(out, in, height, width) as (out, height * width * in), without a copy if it lies in memory as channels_last."""
    return weight.movedim(1, -1).flatten(1)


def as_filter(v: Tensor, weight: Tensor) -> Tensor:
    """A row of `as_matrix` in the shape of one filter of the weight."""
    return v.view(*weight.shape[2:], weight.shape[1]).movedim(-1, 0).contiguous()


class SpectralConv2d(Spectral):
    """Convolution, stride 1, that keeps the size: (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, bias: bool = True) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, kernel_size, bias=bias)
        self.weight, self.bias = nn.Parameter(plain.weight), plain.bias
        self.padding = kernel_size // 2
        self.register_buffer("v", torch.empty(self.weight.shape[1:]))
        self.restart()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the normalised weight; the bias is as it is."""
        return torch.conv2d(x, self.normalised_weight(), self.bias, padding=self.padding)


class SpectralHalvingConv2d(SpectralConv2d):
    """A 3x3 convolution, then the mean of each 2x2 square, in one: (B, in, H, W) to (B, out, H / 2, W / 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """The weight is normalised as that of the 3x3 convolution."""
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
        """Multiply with the normalised weight; the bias is as it is."""
        return linear(x, self.normalised_weight(), self.bias)


class SpectralEmbedding(Spectral):
    """A vector for each class: (B,) to (B, features). The whole table is normalised as one matrix."""

    def __init__(self, num_classes: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, features).normal_())
        self.register_buffer("v", torch.empty(features))
        self.restart()

    def forward(self, labels: Tensor) -> Tensor:
        """Rows of the normalised table."""
        return embedding(labels, self.normalised_weight())
