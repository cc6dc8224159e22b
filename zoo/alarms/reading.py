"""A reading and the habits it is held against: what every alarm looks at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zoo.alarms.change import MEMORY, Track

LINEAR = (
    "duplicates",
    "score/real",
    "score/fake",
    "score/train",
    "score/held_out",
    "score/generated",
    "overfitting/",
    "classes/",
    "loss/",
)
"""Signals that are followed as they are; all others are positive and followed by their logarithm."""
FLOORS = {
    "weight/": 0.005,
    "activation/": 0.05,
    "gradient/": 0.2,
    "score/": 0.1,
    "diversity": 0.05,
    "duplicates": 0.05,
    "sigma": 0.03,
    "loss/": 0.05,
    "slope/": 0.2,
}
"""Smallest usual deviation of each kind of signal: what varies less than this in a run is not therefore alarming."""
SETTLE, SETTLE_FULL = 16, 3
"""Readings before changes are looked for; full readings are rarer."""
SETTLE_GROWN = MEMORY
"""The same after a network has grown: new layers and fresh moments of Adam set off slow swings in both networks, which
half a memory takes for a drift."""


@dataclass(frozen=True)
class Moved:
    """A signal that has changed.

    Args:
        name: of the signal.
        before: its usual value.
        now: its value.
    """

    name: str
    before: float
    now: float

    @property
    def factor(self) -> float:
        """Now over before."""
        return self.now / self.before if self.before else math.inf

    def __str__(self) -> str:
        return f"{self.name} went from {self.before:.3g} to {self.now:.3g}"


class Reading:
    """The values of one moment beside what is usual. An alarm asks for values, and for what rose or fell.

    Args:
        values: by name.
        tracks: habits of the signals, this reading included.
    """

    def __init__(self, values: dict[str, float], tracks: dict[str, Track]) -> None:
        self.values, self.tracks = values, tracks

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def get(self, name: str, default: float = math.nan) -> float:
        """A value, or `default` where this reading does not have it."""
        return self.values.get(name, default)

    def usual(self, name: str) -> float:
        """The level of a signal, in its own unit; not a number where there is none yet."""
        track = self.tracks.get(name)
        if track is None or track.count <= track.settle:
            return math.nan
        before = track.level
        return before if is_linear(name) else math.exp(before)

    def rose(self, prefix: str, by: float) -> Moved | None:
        """The signal whose name begins so that rose most, if it changed, and at least by a factor (linear: a step)."""
        return self._moved(prefix, by, up=True)

    def fell(self, prefix: str, by: float) -> Moved | None:
        """The signal whose name begins so that fell most, if it changed, and at least by a factor (linear: a step)."""
        return self._moved(prefix, by, up=False)

    def _moved(self, prefix: str, by: float, up: bool) -> Moved | None:
        best: tuple[float, Moved] | None = None
        for name in self._names(prefix):
            track = self.tracks.get(name)
            size = 0.0 if track is None else track.rose if up else track.fell
            if track is None or size < (by if is_linear(name) else math.log(by)):
                continue
            if best is None or size > best[0]:
                before = scaled(name, self.values[name]) - track.change
                best = size, Moved(name, before if is_linear(name) else math.exp(before), self.values[name])
        return None if best is None else best[1]

    def _names(self, prefix: str) -> Iterator[str]:
        return (name for name, value in self.values.items() if name.startswith(prefix) and math.isfinite(value))


def is_linear(name: str) -> bool:
    """Whether a signal is followed as it is."""
    return name.startswith(LINEAR)


def scaled(name: str, value: float) -> float:
    """A value as it is followed: itself, or its logarithm."""
    return value if is_linear(name) or not math.isfinite(value) else math.log(max(value, 1e-12))


class Habits:
    """The tracks of all signals of a run; begins anew when the game itself changes, as when a network grows."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.stage = ""
        self.grown = False

    def read(self, values: dict[str, float], stage: str, full: dict[str, float]) -> Reading:
        """Take a reading.

        Args:
            values: of a quick reading.
            stage: what is played, such as a resolution; where it is another one, habits are forgotten.
            full: of a full reading, or nothing.
        """
        if stage != self.stage:
            self.tracks, self.stage, self.grown = {}, stage, bool(self.stage)
        for part, settle in ((values, SETTLE_GROWN if self.grown else SETTLE), (full, SETTLE_FULL)):
            for name, value in part.items():
                if name not in self.tracks:
                    floor = next((floor for start, floor in FLOORS.items() if name.startswith(start)), 0.05)
                    self.tracks[name] = Track(settle, floor)
                self.tracks[name].read(scaled(name, value))
        return Reading({**values, **full}, self.tracks)

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "stage": self.stage,
            "grown": self.grown,
            "tracks": {name: track.as_dict() for name, track in self.tracks.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.stage, self.grown = state["stage"], state.get("grown", False)
        self.tracks = {name: Track(**numbers) for name, numbers in state["tracks"].items()}
