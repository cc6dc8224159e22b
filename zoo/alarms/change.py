"""Has a signal left its own habits? One detector for every signal of every variant, calibrated on the run itself.

A detector forecasts the next reading from the signal's level and slope (Brown 1963, "Smoothing, Forecasting and
Prediction": exponential smoothing, twice) and knows its usual deviation from the forecast, all with a memory of a few
hundred rounds. So healthy drift is expected, and a smooth signal may stray less than a noisy one. Deviations beyond the
usual are summed one-sidedly (CUSUM; Page 1954, "Continuous inspection schemes", Biometrika 41): one reading far out or
several moderately far out carry the sum over its threshold, noise does not. What is unusual enters level, slope and
deviation clipped, so a break is not quickly taken for the new habit.

There are four numbers for all signals. With independent Gaussian readings a change is seen once in some 70,000, with
heavier tails more often (`tests/test_alarms_change.py`); so alarms ask for a large change besides.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

MEMORY = 32
"""Readings over which level, slope and deviation are averaged."""
ALLOWANCE = 1.5
"""Deviations that each reading may stray without adding to the sum."""
THRESHOLD = 4.0
"""Where the sum counts as a change, in deviations."""
CLIP = 3.0
"""Deviations that a reading may at most move the level and the deviation by."""


@dataclass
class Track:
    """The habits of one signal.

    Args:
        settle: readings before changes are looked for.
        floor: smallest deviation that is believed, in the signal's unit (for most of them the logarithm).
        count: readings so far.
        level: where the signal is, smoothed.
        slope: by how much it moves from reading to reading, smoothed.
        deviation: its usual distance from what was forecast, as a standard deviation.
        up: sum of what went beyond the usual, upwards.
        down: and downwards.
        change: the latest reading's distance from its forecast.
    """

    settle: int = 16
    floor: float = 0.02
    count: int = 0
    level: float = 0.0
    slope: float = 0.0
    deviation: float = 0.0
    up: float = 0.0
    down: float = 0.0
    change: float = 0.0

    def read(self, value: float) -> None:
        """Take the next reading; one that is not finite changes nothing."""
        if not math.isfinite(value):
            return
        self.count += 1
        if self.count == 1:
            self.level = value
        forecast = self.level + self.slope
        usual = max(self.deviation, self.floor)
        self.change = value - forecast
        settled = self.count > self.settle
        if settled:
            z = self.change / usual
            self.up = max(0.0, self.up + z - ALLOWANCE)
            self.down = max(0.0, self.down - z - ALLOWANCE)
        step = max(-CLIP * usual, min(CLIP * usual, self.change)) if settled else self.change
        share = 2 / (min(self.count, MEMORY) + 1)
        self.level = forecast + (1 - (1 - share / 2) ** 2) * step
        self.slope += (share / 2) ** 2 * step
        self.deviation += share * (math.sqrt(math.pi / 2) * abs(step) - self.deviation)  # of a Gaussian's mean distance
        if self.calm:  # what is over does not linger in the sums
            self.up, self.down = min(self.up, THRESHOLD), min(self.down, THRESHOLD)

    @property
    def calm(self) -> bool:
        """Whether the latest reading is within the usual."""
        return abs(self.change) <= ALLOWANCE * max(self.deviation, self.floor)

    @property
    def rose(self) -> float:
        """How far the latest reading lies above its forecast if that is a change, else 0."""
        return self.change if self.up > THRESHOLD and self.change > 0 else 0.0

    @property
    def fell(self) -> float:
        """How far it lies below its forecast if that is a change, else 0."""
        return -self.change if self.down > THRESHOLD and self.change < 0 else 0.0

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, from which `Track(**numbers)` goes on."""
        return asdict(self)
