"""Growth of a ProGAN: its stages as a function of images, its moving average, and the width of each block.

Karras et al. 2018, section A.1 and table 2; `TrainingSchedule` in the authors' train.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from torch import Tensor, nn

from zoo.training.average import MovingAverage


@dataclass(frozen=True)
class Stage:
    """Stage of growth.

    Args:
        resolution: current height and width of the images.
        alpha: weight of the newest block, rising from 0 to 1 while it is faded in.
    """

    resolution: int
    alpha: float = 1.0


@dataclass(frozen=True)
class Growth:
    """Schedule of stages (paper, section A.1; `TrainingSchedule` in the authors' train.py).

    Training holds at `initial` for `hold` images; then, for each doubling, the new block is faded in over `fade` images
    and held for `hold`.

    Args:
        resolution: final resolution.
        hold: images at each resolution before the next is faded in; or a mapping such as {4: 20000, 16: 100000}, each
            number valid from its resolution on.
        fade: images over which a new block is faded in; 0 switches it on at once.
        initial: first resolution (the authors' lod_initial_resolution).
    """

    resolution: int
    hold: int | Mapping[int, int]
    fade: int
    initial: int = 4

    def __post_init__(self) -> None:
        each = self.hold.values() if isinstance(self.hold, Mapping) else (self.hold,)
        if self.fade < 0 or not all(images >= 1 for images in each):
            raise ValueError(f"hold_images must be at least 1 and fade_images 0; got {self.hold} and {self.fade}")
        if self.initial not in (sizes := [2**i for i in range(2, self.resolution.bit_length())]):
            raise ValueError(f"initial_resolution is one of {', '.join(map(str, sizes))}; got {self.initial}")
        starts = list(self.hold) if isinstance(self.hold, Mapping) else [self.initial]
        if min(starts, default=self.initial + 1) > self.initial or any(start & (start - 1) for start in starts):
            raise ValueError(
                "hold_images as a mapping has powers of two, from which on its numbers are valid, and begins at "
                f"{self.initial}, the first resolution, such as {{{self.initial}: 10000}}; got {self.hold}"
            )

    def held(self, resolution: int) -> int:
        """Return the number of images for which a resolution is held."""
        if not isinstance(self.hold, Mapping):
            return self.hold
        return self.hold[max(start for start in self.hold if start <= resolution)]

    @property
    def switched_on(self) -> list[int]:
        """Images at which each new block begins to be faded in."""
        moments, images = [], 0
        for lod in range(self.doublings, 0, -1):
            moments.append(images + self.held(self.resolution >> lod))
            images = moments[-1] + self.fade
        return moments

    def level_of_detail(self, images: int) -> float:
        """Return the authors' "lod" after `images`: the number of doublings still to come, fractional during a fade."""
        for done, moment in enumerate(self.switched_on):
            lod = self.doublings - done
            if images < moment:
                return float(lod)
            if images < moment + self.fade:
                return lod - (images - moment) / self.fade
        return 0.0

    def at(self, images: int) -> Stage:
        """Return the stage after this many images."""
        lod = self.level_of_detail(images)
        return Stage(self.resolution >> math.floor(lod), 1.0 - (lod - math.floor(lod)) if lod % 1 else 1.0)

    def began(self, images: int) -> int:
        """Return the images at which the fade of the newest block began; 0 before the first."""
        return max((moment for moment in self.switched_on if moment <= images), default=0)

    @property
    def end(self) -> int:
        """Images after which growth has ended."""
        return self.switched_on[-1] + self.fade if self.doublings else 0

    @property
    def doublings(self) -> int:
        """Number of doublings from the first resolution to the last."""
        return (self.resolution // self.initial).bit_length() - 1

    def changed(self, before: int, now: int) -> bool:
        """Return whether a fade began or ended between two counts of images; the authors then reset Adam's state."""
        first, last = self.level_of_detail(before), self.level_of_detail(now)
        return (math.floor(first), math.ceil(first)) != (math.floor(last), math.ceil(last))


@dataclass(frozen=True)
class GrowingAverage(MovingAverage):
    """Moving average of a growing generator, whose `rampup` starts again with every new block.

    So the random initial weights of a block do not linger in the average. The authors keep one half-life throughout;
    their stages are 72 half-lives long, those of small runs one or two.

    Args:
        growth: schedule of the blocks.
    """

    growth: Growth = Growth(4, 1, 0)

    def halflife_at(self, images_seen: int) -> float:
        """Return the half-life, in images, after `images_seen`."""
        return super().halflife_at(images_seen - self.growth.began(images_seen))

    def tensors(self, network: nn.Module, images_seen: int) -> Iterator[Tensor]:
        """Return the tensors of the blocks and heads that have been switched on; the others have not moved yet."""
        used = self.growth.at(images_seen).resolution.bit_length() - 3
        blocks = range(used, self.growth.resolution.bit_length() - 3)
        waiting = [*(f"blocks.{i}." for i in blocks), *(f"to_rgb.{i + 1}." for i in blocks)]
        for name, tensor in chain(network.named_parameters(), network.named_buffers()):
            if not any(part in name for part in waiting):
                yield tensor


@dataclass(frozen=True)
class Widths:
    """Channels of each block: `min(base / 2^(R - 1), most)` at a resolution of 2^R pixels.

    Args:
        base: the authors' fmap_base.
        most: largest number of channels, the authors' fmap_max.
    """

    base: int
    most: int

    def check(self, resolution: int) -> None:
        """Check that the block of the final resolution has at least one channel.

        Raises:
            ValueError: when it has none, with the smallest base that suffices.
        """
        if self.at(resolution) < 1:
            raise ValueError(
                f"width and width_base must leave a channel at {resolution} px: width at least 1, width_base at least "
                f"{resolution // 2}; got {self.most} and {self.base}"
            )

    def at(self, resolution: int) -> int:
        """Return the channels of the block that works at `resolution`."""
        return min(self.base >> (resolution.bit_length() - 2), self.most)
