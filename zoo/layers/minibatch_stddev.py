"""Minibatch stddev layers, which show a discriminator how varied a batch is: that of all processes where batches are
joined, see `zoo.layers.synchronised`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.layers.synchronised import own_place, rows_of_all


class MinibatchStdDev(nn.Module):
    """Layer that appends a channel with the mean standard deviation within a group of images.

    Karras et al. 2018, arXiv:1710.10196, section 3. As in the authors' code: groups are strided (image i is in group
    `i mod B/G`), the variance is the biased one, the deviation is `sqrt(variance + 1e-8)`, and its mean over channels
    and pixels is one number for each group.

    Args:
        group_size: largest size G of a group; a batch that G does not divide is split into groups of the largest size
            below G that does.
    """

    def __init__(self, group_size: int = 4) -> None:
        super().__init__()
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        """Append the channel: maps (B, C, H, W) become (B, C + 1, H, W)."""
        rows = joined_rows(x)
        batch = len(rows)
        group = next(size for size in range(min(self.group_size, batch), 0, -1) if batch % size == 0)
        grouped = rows.reshape(group, batch // group, -1)
        # Not Tensor.var, which takes 20 times as long across the first dimension.
        variance = (grouped - grouped.mean(0)).square().mean(0)
        deviation = (variance + 1e-8).sqrt().mean(1)  # (B / G,)
        return with_channel(x, deviation.repeat(group))


class NeighbourDeviation(nn.Module):
    """Minibatch stddev of pytorch_GAN_zoo since July 2019, for weights that were trained with it.

    Differences from `MinibatchStdDev`: groups are of neighbours (image i is in group `i // 4`); the variance is the
    unbiased one; a batch that 4 does not divide is one group; a single image gets 0.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Append the channel: maps (B, C, H, W) become (B, C + 1, H, W)."""
        rows = joined_rows(x)
        batch = len(rows)
        size = 4 if batch % 4 == 0 else batch
        if size == 1:
            return with_channel(x, rows.new_zeros(batch))
        grouped = rows.reshape(batch // size, size, -1)
        deviation = (grouped.var(1, unbiased=True) + 1e-8).sqrt().mean(1)  # (B / size,)
        return with_channel(x, deviation.repeat_interleave(size))


class ConsecutiveDeviation(nn.Module):
    """Minibatch stddev of pytorch_GAN_zoo before July 2019 (its commit f5c8125), for weights trained until then.

    Differences from `MinibatchStdDev`: the variance is the unbiased one; a batch that 4 does not divide is one group;
    groups are strided (image i is in group `i mod B/4`) but their deviations are assigned in order (image i gets that
    of group `i // 4`), so with two or more groups an image gets the deviation of other images; a single image gets 0.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Append the channel: maps (B, C, H, W) become (B, C + 1, H, W)."""
        rows = joined_rows(x)
        batch = len(rows)
        size = 4 if batch % 4 == 0 else batch
        if size == 1:
            return with_channel(x, rows.new_zeros(batch))
        grouped = rows.reshape(size, batch // size, -1)
        deviation = (grouped.var(0, unbiased=True) + 1e-8).sqrt().mean(1)  # (B / size,)
        return with_channel(x, deviation.repeat_interleave(size))


def joined_rows(x: Tensor) -> Tensor:
    """Return the maps (B, ...) of the whole batch, of all processes where batches are joined, at least in float32."""
    return rows_of_all(x.to(torch.promote_types(x.dtype, torch.float32)))


def with_channel(x: Tensor, values: Tensor) -> Tensor:
    """Append a channel to maps (B, C, H, W) that holds one value for each image of the whole batch in all pixels."""
    extra = values[own_place(len(x))].to(x.dtype).view(len(x), 1, 1, 1).expand(-1, 1, *x.shape[2:])
    return torch.cat([x, extra], dim=1)
