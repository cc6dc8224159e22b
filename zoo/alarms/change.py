"""Change detector for one signal, calibrated on the run itself; the same for every signal of every model.

The detector forecasts the next reading from the signal's level and slope (double exponential smoothing; Brown 1963,
"Smoothing, Forecasting and Prediction") and tracks the usual deviation from the forecast, both with a memory of a few
hundred rounds. Slow drift is therefore expected, and a smooth signal is allowed smaller deviations than a noisy one.
Excess deviations are summed on each side (CUSUM; Page 1954, "Continuous inspection schemes", Biometrika 41):

    z    = (value - forecast) / usual deviation
    up   = max(0, up + z - ALLOWANCE)
    down = max(0, down - z - ALLOWANCE)

A change is detected when a sum exceeds `THRESHOLD`: after one large deviation or several moderate ones, but not from
noise. Unusual readings are clipped before they update level, slope and deviation, so that a break does not quickly
become the new baseline.

The four constants below are the same for all signals. Independent Gaussian readings give a false change about once in
70,000 readings, heavier tails more often (`tests/alarms/test_change.py`); alarms therefore also require a large change.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

MEMORY = 32
"""Number of readings over which level, slope and deviation are averaged."""
ALLOWANCE = 1.5
"""Deviation of a reading that does not add to the sums, in usual deviations."""
THRESHOLD = 4.0
"""Value of a sum above which a change is detected, in usual deviations."""
CLIP = 3.0
"""Largest deviation with which a reading updates level and deviation, in usual deviations."""


@dataclass
class Track:
    """Baseline of one signal: its level, slope and usual deviation, and the state of the change detector.

    Args:
        settle: number of readings before changes are detected.
        floor: smallest usual deviation, in the signal's unit (for most signals the logarithm).
        count: number of readings so far.
        level: smoothed level of the signal.
        slope: smoothed difference between consecutive readings.
        deviation: usual deviation from the forecast, as a standard deviation.
        up: sum of excess deviations upwards.
        down: sum of excess deviations downwards.
        change: deviation of the latest reading from its forecast.
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
        """Update with the next reading; a value that is not finite is ignored."""
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
        self.deviation += share * (
            math.sqrt(math.pi / 2) * abs(step) - self.deviation
        )  # from the mean |x| of a Gaussian
        if self.calm:  # so that the sums fall soon after a change is over
            self.up, self.down = min(self.up, THRESHOLD), min(self.down, THRESHOLD)

    @property
    def calm(self) -> bool:
        """Whether the latest reading is within the allowance."""
        return abs(self.change) <= ALLOWANCE * max(self.deviation, self.floor)

    @property
    def rose(self) -> float:
        """Deviation of the latest reading above its forecast, if a rise is detected; otherwise 0."""
        return self.change if self.up > THRESHOLD and self.change > 0 else 0.0

    @property
    def fell(self) -> float:
        """Deviation of the latest reading below its forecast, if a fall is detected; otherwise 0."""
        return -self.change if self.down > THRESHOLD and self.change < 0 else 0.0

    def as_dict(self) -> dict[str, float]:
        """Convert to plain numbers, from which `Track.of(numbers)` continues."""
        return asdict(self)

    @classmethod
    def of(cls, numbers: dict[str, float]) -> Track:
        """Continue from numbers that `as_dict` returned.

        Raises:
            TypeError: for anything but numbers.
        """
        wrong = [name for name, value in numbers.items() if type(value) not in (int, float)]
        if wrong:
            raise TypeError(f"{wrong[0]} of a signal is {numbers[wrong[0]]!r}, no number")
        return cls(**numbers)  # type: ignore[arg-type]
