"""How a ProGAN grows: its stages as a function of images, the average meanwhile, and the width of each block.

Karras et al. 2018, section A.1 and table 2; `TrainingSchedule` in the authors' train.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from zoo.training.average import MovingAverage


@dataclass(frozen=True)
class Stage:
    """How far the networks have grown.

    Args:
        resolution: of images at this moment.
        alpha: weight of the newest block, rising from 0 to 1 while it is faded in.
    """

    resolution: int
    alpha: float = 1.0


@dataclass(frozen=True)
class Growth:
    """The schedule of stages (paper, section A.1; `TrainingSchedule` in the authors' train.py).

    Hold at `initial` for `hold` images, then for each doubling: fade the new block in over `fade` images, hold for
    `hold`.

    Args:
        resolution: where growth ends.
        hold: images at each resolution before the next is faded in; or a mapping such as {4: 20000, 16: 100000}, each
            number counting from its resolution on.
        fade: images over which a new block is faded in; 0 switches it on at once.
        initial: where growth begins (the authors' lod_initial_resolution).
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
        if isinstance(self.hold, Mapping) and min(self.hold, default=self.initial + 1) > self.initial:
            raise ValueError(
                f"hold_images as a mapping begins at {self.initial}, the first resolution; got {self.hold}"
            )

    def held(self, resolution: int) -> int:
        """Images for which this resolution is held."""
        if not isinstance(self.hold, Mapping):
            return self.hold
        return self.hold[max(start for start in self.hold if start <= resolution)]

    @property
    def switched_on(self) -> list[int]:
        """When each new block begins to be faded in, in images."""
        moments, images = [], 0
        for lod in range(self.doublings, 0, -1):
            moments.append(images + self.held(self.resolution >> lod))
            images = moments[-1] + self.fade
        return moments

    def level_of_detail(self, images: int) -> float:
        """The authors' "lod" after so many images: how many doublings are still to come; fractional during a fade."""
        for done, moment in enumerate(self.switched_on):
            lod = self.doublings - done
            if images < moment:
                return float(lod)
            if images < moment + self.fade:
                return lod - (images - moment) / self.fade
        return 0.0

    def at(self, images: int) -> Stage:
        """The stage after so many images."""
        lod = self.level_of_detail(images)
        return Stage(self.resolution >> math.floor(lod), 1.0 - (lod - math.floor(lod)) if lod % 1 else 1.0)

    def began(self, images: int) -> int:
        """When the newest block was switched on, in images; 0 before the first."""
        return max((moment for moment in self.switched_on if moment <= images), default=0)

    @property
    def end(self) -> int:
        """Images after which it has ended."""
        return self.switched_on[-1] + self.fade if self.doublings else 0

    @property
    def doublings(self) -> int:
        """From the first resolution to the last."""
        return (self.resolution // self.initial).bit_length() - 1

    def changed(self, before: int, now: int) -> bool:
        """Whether a fade began or ended in between; the authors then forget Adam's state."""
        ends = [self.level_of_detail(images) for images in (before, now)]
        return (math.floor(ends[0]), math.ceil(ends[0])) != (math.floor(ends[1]), math.ceil(ends[1]))


@dataclass(frozen=True)
class GrowingAverage(MovingAverage):
    """The generator's average: the random weights with which a block begins shall not linger in it.

    So `rampup` counts from where the newest block was switched on, not from the beginning of the run alone. The authors
    average evenly; their stages are 72 half-lives long, those of small runs one or two.
    """

    growth: Growth = Growth(4, 1, 0)

    def halflife_at(self, images_seen: int) -> float:
        """The half-life at this moment, in images."""
        return super().halflife_at(images_seen - self.growth.began(images_seen))


@dataclass(frozen=True)
class Widths:
    """Channels of each block: `min(base / 2^level, most)`, where the block at 2^R pixels has level R - 1."""

    base: int
    most: int

    def check(self, resolution: int) -> None:
        """Refuse widths of which nothing is left at the final resolution.

        Raises:
            ValueError: with the smallest base that would do.
        """
        if self.at(resolution) < 1:
            raise ValueError(
                f"width and width_base must leave a channel at {resolution} px: width at least 1, width_base at least "
                f"{resolution // 2}; got {self.most} and {self.base}"
            )

    def at(self, resolution: int) -> int:
        """Of the block that works at `resolution`."""
        return min(self.base >> (resolution.bit_length() - 2), self.most)
