"""Whether a number that is measured again and again during a run still improves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

TOLERANCE = 0.03
"""Smallest relative change that counts. The 95 % intervals over samples of the distances of our releases, from 5,000 to
10,000 images, are 2 to 4 % of the value wide on each side. Measurements of one run share their latents and real images,
so they vary less; a smaller change is still no evidence of a better generator."""
FEWEST = 4
"""Number of measurements below which nothing is said."""
LATER = 2
"""Number of measurements after which a number that no longer improves is called flat."""
SHARE = 0.2
"""Share of the images seen over which it must have been flat, so that closely spaced measurements do not call an early
pause an end."""
WORSE = 0.1
"""Relative distance from the best measurement beyond which the number has become worse, several times `TOLERANCE`."""
NEGLIGIBLE = 0.05
"""Share of a curve's range below which a value is as good as 0: changes are relative to that share, not to the value.
KID and recall begin or end there, where a change relative to the value itself means nothing."""
MOST_SAID = 1.0
"""Relative gain beyond which no percentage is given. A distance can lose all of itself and no more; what gains more
began near 0, or crossed it."""


class State(Enum):
    """What a curve does at its end."""

    FEW = "too few measurements"
    IMPROVING = "still improving"
    FLAT = "flat"
    WORSE = "getting worse"


class Measured(Protocol):
    """A value at a number of images seen."""

    @property
    def images_seen(self) -> int:
        """Images seen."""
        ...

    @property
    def value(self) -> float:
        """The value."""
        ...


@dataclass(frozen=True)
class Trend:
    """What a curve does at its end.

    Args:
        state: the state.
        since: images seen since which it is flat or, if it gets worse, at which it was best; otherwise at the end.
        gained: relative improvement of the best value over the last quarter of the measured images; 0 without any.
        best: the best value.
        count: number of measurements.
    """

    state: State
    since: int
    gained: float
    best: float
    count: int

    @property
    def gain(self) -> str:
        """The gain over the last quarter as part of a sentence; empty if it is too small to count, or from about 0."""
        counts = self.state is State.IMPROVING and TOLERANCE <= self.gained <= MOST_SAID
        return f"{self.gained:.0%} better over the last quarter of the run" if counts else ""

    @property
    def words(self) -> str:
        """The trend as part of a sentence."""
        if self.state is State.FEW:
            plural = "" if self.count == 1 else "s"
            return f"{self.count} measurement{plural}, too few to say whether it still improves"
        if self.state is State.IMPROVING:
            return "still improving"
        since = f"{self.since:,} images"
        return f"flat since {since}" if self.state is State.FLAT else f"worse since {since}"


def trend_of(curve: Sequence[Measured], higher_is_better: bool = False) -> Trend:
    """Return what a curve does at its end.

    Args:
        curve: measurements, oldest first; at least one.
        higher_is_better: whether larger values are better.
    """
    sign = -1.0 if higher_is_better else 1.0
    costs = [sign * point.value for point in curve]
    best = min(range(len(costs)), key=costs.__getitem__)
    last = curve[-1].images_seen
    earlier = [cost for cost, point in zip(costs, curve) if point.images_seen <= 0.75 * last]
    smallest = NEGLIGIBLE * (max(costs) - min(costs))

    def gain(before: float, after: float) -> float:
        """Return by which share of its size a cost fell, one near 0 as if it were `smallest`; negative if it rose."""
        return (before - after) / max(abs(before), smallest, 1e-12)

    gained = gain(min(earlier), costs[best]) if earlier else 0.0
    flat = next(i for i in range(len(costs)) if gain(costs[i], min(costs[i:])) <= TOLERANCE)
    if len(curve) < FEWEST:
        state, since = State.FEW, last
    elif gain(costs[-1], costs[best]) > WORSE and len(curve) - 1 - best >= LATER:
        state, since = State.WORSE, curve[best].images_seen
    elif len(curve) - 1 - flat >= LATER and last - curve[flat].images_seen >= SHARE * last:
        state, since = State.FLAT, curve[flat].images_seen
    else:
        state, since = State.IMPROVING, last
    return Trend(state, since, max(gained, 0.0), curve[best].value, len(curve))
