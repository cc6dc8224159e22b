"""Batch norm whose gain and bias depend on a condition: de Vries et al. 2017, arXiv:1707.00683; with linear maps of an
embedding instead of a gain and bias for each class: Brock et al. 2019, arXiv:1809.11096, section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ConditionalBatchNorm(nn.Module):
    """Batch norm of maps (B, C, H, W) by a condition c: `norm(x) * (1 + gain(c)) + bias(c)`.

    Where both projections are 0 it is batch norm without gain and bias.

    Args:
        channels: channels C of the maps.
        project: function from C to a module that maps conditions to (B, C); called twice, for gain and bias.
        eps: constant added to the variance.
    """

    def __init__(self, channels: int, project: Callable[[int], nn.Module], eps: float = 1e-5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=eps, affine=False)
        self.gain = project(channels)
        self.bias = project(channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalise maps (B, C, H, W) over the batch, then scale and shift each image by its own condition."""
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return torch.addcmul(bias[:, :, None, None], self.norm(x), gain[:, :, None, None])


class UnconditionalBatchNorm(nn.BatchNorm2d):
    """Batch norm with a gain and a bias for each channel, for models without a condition."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Normalise maps (B, C, H, W) over the batch; the condition is ignored."""
        return super().forward(x)
