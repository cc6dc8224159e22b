"""The one clock: everything scheduled is a pure function of images seen.

`images_seen` counts the real images shown to the discriminator since the start of a run, over all devices. Nothing that
can be computed from it is stored, which is why a resumed run continues exactly where the killed one stopped.

A rollback undoes rounds, but does not turn the clock back: images, latents and file names after it are new ones. What
it does turn back is `progress`, by which learning rates, growth and the length of a run go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ScheduleKind = Literal["constant", "linear", "cosine"]


def crossed(before: int, now: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, now].

    Asks for crossing rather than equality: batches seldom add up to a round number, and their size may change.
    """
    return now // every > before // every


def retention(images: float, halflife: float) -> float:
    """How much of an average with this half-life (in images) is left after `images`; 0 for a half-life of 0."""
    return 0.5 ** (images / halflife) if halflife > 0 else 0.0


class Clocked:
    """What has a clock, as every `GAN` has.

    Attributes:
        images_seen: real images shown to the discriminator.
        images_before: the same at the start of the latest round; callbacks ask what was crossed since.
        images_undone: those of them whose rounds a rollback has undone.
        rounds: batches shown.
    """

    images_seen = images_before = images_undone = rounds = 0

    @property
    def progress(self) -> int:
        """Images seen and not undone: those that the weights have learnt from."""
        return self.images_seen - self.images_undone

    def set_clock(self, images_seen: int, rounds: int = 0, images_undone: int = 0) -> None:
        """Go on from here."""
        self.images_seen = self.images_before = images_seen
        self.rounds, self.images_undone = rounds, images_undone

    def clock_state(self) -> dict[str, int]:
        """Arguments of `set_clock`, for a file."""
        return {"images_seen": self.images_seen, "rounds": self.rounds, "images_undone": self.images_undone}


def progress_of(state: Mapping[str, int]) -> int:
    """The progress that a `clock_state` tells of; those of earlier versions know no rounds undone."""
    return state["images_seen"] - state.get("images_undone", 0)


@dataclass(frozen=True)
class Schedule:
    """A factor on the learning rate as a function of progress, in images.

    Args:
        kind: `constant` stays at 1; `linear` and `cosine` fall to 0 at `horizon` and stay there.
        horizon: where the fall ends, in images; needed unless constant.
        warmup: the factor also rises linearly from 0 over the first `warmup` images.
    """

    kind: ScheduleKind = "constant"
    horizon: int = 0
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("constant", "linear", "cosine"):
            raise ValueError(f"lr_schedule is 'constant', 'linear' or 'cosine'; got {self.kind!r}")
        if self.kind != "constant" and self.horizon <= 0:
            raise ValueError(
                f"lr_schedule={self.kind!r} needs lr_horizon, the number of images at which the rate reaches 0; got "
                f"{self.horizon}. In a recipe write lr_horizon: ${{images}} to fall over the whole run"
            )

    def at(self, images: int) -> float:
        """The factor, in [0, 1], after so many images."""
        factor = 1.0
        if self.kind != "constant":
            part = min(images / self.horizon, 1.0)
            factor = 1.0 - part if self.kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * part))
        if images < self.warmup:
            factor *= images / self.warmup
        return factor
