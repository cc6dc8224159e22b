"""Moving average of the generator, with its half-life in images.

A half-life in images keeps its meaning when the batch size, the number of devices or the critic steps change; a decay
per step does not. A decay `d` per step at batch size `B` is a half-life of `B * log(0.5) / log(d)` images.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.training.clock import retention


def averaged_copy(network: nn.Module) -> nn.Module:
    """A frozen copy in eval mode, to be moved towards `network` by `MovingAverage.update`."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@dataclass(frozen=True)
class MovingAverage:
    """Exponential average of parameters and buffers.

    Buffers (batch-norm statistics, power-iteration vectors) are averaged as the parameters are, as the authors'
    BigGAN code does; integer buffers are copied.

    Args:
        halflife: in images; after so many the weight of what was there has halved. 0: the average is the live network.
        start: until so many images were seen the average is a plain copy (BigGAN starts averaging late).
        rampup: early in a run the half-life is at most this share of the images seen, so that the random weights of
            the first moment do not linger (Karras et al. 2020, StyleGAN2-ADA, `ema_rampup`). 0 turns it off.
    """

    halflife: int
    start: int = 0
    rampup: float = 0.05

    def weight(self, images: int, images_seen: int) -> float:
        """How far, in [0, 1], the average moves to the live network after `images` more of them."""
        if images_seen <= self.start:
            return 1.0
        return 1.0 - retention(images, self.halflife_at(images_seen))

    def halflife_at(self, images_seen: int) -> float:
        """The half-life at this moment, in images."""
        return min(self.halflife, self.rampup * images_seen) if self.rampup else self.halflife

    @torch.no_grad()
    def update(self, average: nn.Module, network: nn.Module, images: int, images_seen: int) -> None:
        """Move `average` in place; `images` is how many were seen since the last update."""
        mine: list[Tensor] = []
        theirs: list[Tensor] = []
        for a, b in zip((*average.parameters(), *average.buffers()), (*network.parameters(), *network.buffers())):
            if a.is_floating_point():
                mine.append(a)
                theirs.append(b.detach())
            else:
                a.copy_(b)
        torch._foreach_lerp_(mine, theirs, self.weight(images, images_seen))
