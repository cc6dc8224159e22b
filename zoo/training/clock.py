"""The training clock: every schedule is a pure function of the number of images seen.

`images_seen` counts the real images shown to the discriminator since the start of a run, over all devices. Nothing that
can be computed from it is stored, so a resumed run continues exactly where the interrupted one stopped.

A rollback undoes rounds but does not turn the clock back: images, latents and file names after it are new ones. It does
turn back `progress`, on which learning rates, growth and the length of a run depend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ScheduleKind = Literal["constant", "linear", "cosine"]


def crossed(before: int, now: int, every: int) -> bool:
    """Return whether a multiple of `every` lies in (before, now].

    A test for crossing rather than for equality: batches seldom add up to a round number, and their size may change.

    Example:
        >>> from zoo.training.clock import crossed
        >>> crossed(before=960, now=1024, every=1000), crossed(before=1024, now=1088, every=1000)
        (True, False)
    """
    return now // every > before // every


def retention(images: float, halflife: float) -> float:
    """Return the share of an average with this half-life (in images) that is left after `images`; 0 for half-life 0.

    Example:
        >>> from zoo.training.clock import retention
        >>> retention(10_000, halflife=10_000), retention(30_000, halflife=10_000), retention(64, halflife=0)
        (0.5, 0.125, 0.0)
    """
    return 0.5 ** (images / halflife) if halflife > 0 else 0.0


@dataclass
class Clock:
    """Counters of a training run. Several models may share one clock, as the members of a mixture do.

    Attributes:
        images_seen: real images shown to the discriminator.
        images_before: `images_seen` at the start of the latest round; callbacks ask which multiples were crossed since.
        images_undone: images seen in rounds that a rollback has undone.
        rounds: batches shown.
    """

    images_seen: int = 0
    images_before: int = 0
    images_undone: int = 0
    rounds: int = 0


class Counter:
    """An attribute of a model that reads and sets the counter of this name on the model's clock."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: Clocked, owner: type) -> int:
        count: int = getattr(model.clock, self._name)
        return count

    def __set__(self, model: Clocked, count: int) -> None:
        setattr(model.clock, self._name, count)


class Clocked:
    """Mixin that gives a model the counters of its `clock` as attributes, see `Clock`.

    Example:
        >>> from zoo.training.clock import Clock, Clocked
        >>> class Model(Clocked):
        ...     def __init__(self):
        ...         self.clock = Clock()
        >>> model = Model()
        >>> model.set_clock(images_seen=6400, rounds=100, images_undone=640)
        >>> model.progress
        5760
        >>> model.clock_state()
        {'images_seen': 6400, 'rounds': 100, 'images_undone': 640}
    """

    clock: Clock
    images_seen = Counter()
    images_before = Counter()
    images_undone = Counter()
    rounds = Counter()

    @property
    def progress(self) -> int:
        """Images seen and not undone: those that the weights have learnt from."""
        return self.images_seen - self.images_undone

    def set_clock(self, images_seen: int, rounds: int = 0, images_undone: int = 0) -> None:
        """Set all counters; `images_before` becomes `images_seen`."""
        self.images_seen = self.images_before = images_seen
        self.rounds, self.images_undone = rounds, images_undone

    def clock_state(self) -> dict[str, int]:
        """Return the arguments of `set_clock`, for a checkpoint."""
        return {"images_seen": self.images_seen, "rounds": self.rounds, "images_undone": self.images_undone}


def progress_of(state: Mapping[str, int]) -> int:
    """Return the progress recorded in a `clock_state`; those of earlier versions have no `images_undone`."""
    return state["images_seen"] - state.get("images_undone", 0)


@dataclass(frozen=True)
class Schedule:
    """A factor on the learning rate as a function of progress, in images.

    Args:
        kind: `constant` stays at 1; `linear` and `cosine` fall to `final` at `horizon` and stay there.
        horizon: images at which the factor reaches `final`; required unless `kind` is `constant`.
        warmup: images over which the factor also rises linearly from 0.
        final: factor at the end of a fall, in [0, 1].

    Example:
        >>> from zoo.training.clock import Schedule
        >>> schedule = Schedule("linear", horizon=10_000, warmup=1_000)
        >>> [schedule.at(images) for images in (0, 500, 5_000, 10_000, 20_000)]
        [0.0, 0.475, 0.5, 0.0, 0.0]
    """

    kind: ScheduleKind = "constant"
    horizon: int = 0
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.final <= 1:
            raise ValueError(f"lr_final, the share of the learning rate at the end, lies in [0, 1]; got {self.final}")
        if self.kind not in ("constant", "linear", "cosine"):
            raise ValueError(f"lr_schedule is 'constant', 'linear' or 'cosine'; got {self.kind!r}")
        if self.kind != "constant" and self.horizon <= 0:
            raise ValueError(
                f"lr_schedule={self.kind!r} needs lr_horizon, the number of images at which the rate reaches lr_final; "
                f"got {self.horizon}. In a recipe write lr_horizon: ${{images}} to fall over the whole run"
            )

    def at(self, images: int) -> float:
        """Return the factor, in [0, 1], after this many images."""
        factor = 1.0
        if self.kind != "constant":
            part = min(images / self.horizon, 1.0)
            factor = 1.0 - part if self.kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * part))
            factor = self.final + (1.0 - self.final) * factor if self.final else factor
        if images < self.warmup:
            factor *= images / self.warmup
        return factor
