"""Exponential moving average (EMA) of the generator, with its half-life in images.

After n more images the average moves to `average + w * (generator - average)` with `w = 1 - 0.5^(n / halflife)`. A
half-life in images keeps its meaning when the batch size, the number of devices or the critic steps change; a decay per
step does not. A decay `d` per step at batch size `B` is a half-life of `B * log(0.5) / log(d)` images.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from zoo.training.clock import retention


def averaged_copy(network: nn.Module) -> nn.Module:
    """Return a frozen copy of a network in eval mode, for `MovingAverage.update` to move."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@dataclass(frozen=True)
class MovingAverage:
    """Exponential moving average (EMA) of a network's parameters and buffers.

    Buffers (batch-norm statistics, power-iteration vectors) are averaged like the parameters, as in the authors' BigGAN
    code; integer buffers are copied.

    Args:
        halflife: images after which the weight of the earlier value has halved; 0 makes the average a copy of the live
            network.
        start: images seen before which the average is a plain copy (BigGAN starts averaging late).
        rampup: largest half-life as a fraction of the images seen, so that the random initial weights do not linger
            early in a run (Karras et al. 2020, StyleGAN2-ADA, arXiv:2006.06676, `ema_rampup` in the authors' code); 0
            for no such limit.
    """

    halflife: float
    start: int = 0
    rampup: float = 0.05

    def weight(self, images: int, images_seen: int) -> float:
        """Return how far, in [0, 1], the average moves towards the live network after `images` more images."""
        if images_seen <= self.start:
            return 1.0
        return 1.0 - retention(images, self.halflife_at(images_seen))

    def halflife_at(self, images_seen: int) -> float:
        """Return the half-life, in images, after `images_seen`."""
        return min(self.halflife, self.rampup * images_seen) if self.rampup else self.halflife

    def tensors(self, network: nn.Module, images_seen: int) -> Iterator[Tensor]:
        """Return the tensors of a network or of its average that may differ between the two, in one order."""
        return chain(network.parameters(), network.buffers())

    @torch.no_grad()
    def update(self, average: nn.Module, network: nn.Module, images: int, images_seen: int) -> None:
        """Move `average` towards `network`, in place.

        Args:
            average: the moving average, see `averaged_copy`.
            network: the live network.
            images: images seen since the last update.
            images_seen: images seen since the start of the run, on which `start` and `rampup` depend.
        """
        averages: list[Tensor] = []
        values: list[Tensor] = []
        for a, b in zip(self.tensors(average, images_seen), self.tensors(network, images_seen)):
            if a.is_floating_point():
                averages.append(a)
                values.append(b.detach())
            else:
                a.copy_(b)
        torch._foreach_lerp_(averages, values, self.weight(images, images_seen))
