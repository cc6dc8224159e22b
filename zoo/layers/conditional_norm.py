"""Batch norm whose gain and bias follow a condition: de Vries et al. 2017, arXiv:1707.00683; with a linear
map of an embedding instead of one gain for each class, Brock et al. 2019, arXiv:1809.11096, section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ConditionalBatchNorm(nn.Module):
    """`norm(x) * (1 + gain(c)) + bias(c)`: (B, C, H, W) and a condition to (B, C, H, W).

    Where a map gives 0 this is batch norm without parameters.

    Args:
        channels: C.
        project: from C to a module that turns conditions into (B, C); called twice, for the gain and for the bias.
        eps: added to the variance.
    """

    def __init__(self, channels: int, project: Callable[[int], nn.Module], eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=eps, affine=False)
        self.gain = project(channels)
        self.bias = project(channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalise over the batch, then scale and shift each image by its own condition."""
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return torch.addcmul(bias[:, :, None, None], self.norm(x), gain[:, :, None, None])


class UnconditionalBatchNorm(nn.BatchNorm2d):
    """Batch norm with a gain and a bias for each channel, where nothing is there to condition on."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Normalise over the batch; the condition is None."""
        return super().forward(x)
