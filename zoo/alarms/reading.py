"""Readings, and the baselines of a run that they are compared with: the input of every alarm."""

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
"""Prefixes of signals that are tracked as they are; all others are positive, and their logarithm is tracked."""
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
"""Smallest usual deviation by prefix of the signal, so that tiny changes of a very smooth signal do not count."""
SETTLE, SETTLE_FULL = 16, 3
"""Number of readings before changes are detected; smaller for signals of full readings, which are rarer."""
SETTLE_GROWN = MEMORY
"""Number of readings before changes are detected after a network has grown: new layers and reset moments of Adam cause
slow swings in both networks, which look like a lasting drift over half of `MEMORY` readings."""


@dataclass(frozen=True)
class Moved:
    """A signal that has changed.

    Args:
        name: name of the signal.
        before: forecast value, from its baseline.
        now: current value.
    """

    name: str
    before: float
    now: float

    @property
    def factor(self) -> float:
        """Current value divided by the forecast; infinite if the forecast is 0."""
        return self.now / self.before if self.before else math.inf

    def __str__(self) -> str:
        return f"{self.name} went from {self.before:.3g} to {self.now:.3g}"


class Reading:
    """The values of all signals at one moment, with their baselines. Alarms ask it for values and for detected changes.

    Args:
        values: values by name of the signal.
        tracks: baselines by name of the signal, updated with this reading.
    """

    def __init__(self, values: dict[str, float], tracks: dict[str, Track]) -> None:
        self.values, self.tracks = values, tracks

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def get(self, name: str, default: float = math.nan) -> float:
        """Return a value, or `default` if this reading does not have it."""
        return self.values.get(name, default)

    def usual(self, name: str) -> float:
        """Return the usual level of a signal, in its own unit; NaN before its baseline has settled."""
        track = self.tracks.get(name)
        if track is None or track.count <= track.settle:
            return math.nan
        return track.level if is_linear(name) else math.exp(track.level)

    def rose(self, prefix: str, by: float) -> Moved | None:
        """Return the signal that rose most, among those with a detected change of sufficient size, or None.

        Args:
            prefix: first part of the names of the signals to consider.
            by: smallest quotient of value and forecast; for signals in `LINEAR` the smallest difference.
        """
        return self._moved(prefix, by, up=True)

    def fell(self, prefix: str, by: float) -> Moved | None:
        """Return the signal that fell most, among those with a detected change of sufficient size, or None.

        Args:
            prefix: first part of the names of the signals to consider.
            by: smallest quotient of forecast and value; for signals in `LINEAR` the smallest difference.
        """
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
    """Check whether a signal is tracked as it is, rather than by its logarithm."""
    return name.startswith(LINEAR)


def scaled(name: str, value: float) -> float:
    """Return the tracked value of a signal: itself or its logarithm."""
    return value if is_linear(name) or not math.isfinite(value) else math.log(max(value, 1e-12))


class Baselines:
    """Baselines of all signals of a run. They start again when the training itself changes, as when a network grows."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.stage = ""
        self.grown = False

    def read(self, values: dict[str, float], stage: str, full: dict[str, float]) -> Reading:
        """Update the baselines with new values and return them as a reading.

        Args:
            values: values of a quick reading, by name of the signal.
            stage: stage of training, such as a resolution; if it differs from the last one, all baselines start again.
            full: further values of a full reading; empty after a quick reading.
        """
        if stage != self.stage:
            self.tracks, self.stage, self.grown = {}, stage, bool(self.stage)
        for signals, settle in ((values, SETTLE_GROWN if self.grown else SETTLE), (full, SETTLE_FULL)):
            for name, value in signals.items():
                if name not in self.tracks:
                    floor = next((floor for start, floor in FLOORS.items() if name.startswith(start)), 0.05)
                    self.tracks[name] = Track(settle, floor)
                self.tracks[name].read(scaled(name, value))
        return Reading({**values, **full}, self.tracks)

    def state_dict(self) -> dict[str, Any]:
        """Convert to plain values, for a checkpoint."""
        return {
            "stage": self.stage,
            "grown": self.grown,
            "tracks": {name: track.as_dict() for name, track in self.tracks.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the baselines from a `state_dict`."""
        self.stage, self.grown = state["stage"], state.get("grown", False)
        self.tracks = {name: Track.of(numbers) for name, numbers in state["tracks"].items()}
