"""Positions of a number, its interval and its expected range on a horizontal axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zoo.audit.findings.finding import Statistic

WIDTH, HEIGHT = 240, 30  # size of the axis in pixels
MARGIN = 10  # pixels at both ends that stay free unless a bound is infinite
THINNEST_BAND = 3.0  # pixels
LOGARITHMIC_FROM = 30  # ratio of the largest value to the smallest from which the axis is logarithmic


@dataclass(frozen=True)
class NumberLine:
    """Positions in pixels from the left end of the axis.

    Args:
        value: position of the measured value.
        interval: ends of its 95 % interval, or None.
        expected: position of the expected value, or None where it is infinite.
        band: ends of the expected range, or None.
    """

    value: float
    interval: tuple[float, float] | None
    expected: float | None
    band: tuple[float, float] | None
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def band_width(self) -> str:
        """The width of the band, at least so wide that it can be seen."""
        if self.band is None:
            return "0"
        return f"{max(THINNEST_BAND, self.band[1] - self.band[0]):.1f}"


def number_line_of(statistic: Statistic) -> NumberLine | None:
    """Place a statistic on an axis that is just long enough for its finite values.

    Returns:
        None where the value is not finite or nothing is expected of it.
    """
    s = statistic
    values = [s.value, s.low, s.high, s.null, s.null_low, s.null_high]
    finite = [float(v) for v in values if v is not None and math.isfinite(v)]
    if not math.isfinite(s.value) or s.null is None or max(finite) == min(finite):
        return None
    logarithmic = min(finite) > 0 and max(finite) / min(finite) >= LOGARITHMIC_FROM
    least, span = (f(finite) if not logarithmic else math.log(f(finite)) for f in (min, max))
    span -= least

    def position(value: float) -> float:
        if math.isinf(value):
            return WIDTH if value > 0 else 0
        fraction = ((math.log(value) if logarithmic else value) - least) / span
        return round(MARGIN + fraction * (WIDTH - 2 * MARGIN), 1)

    def positions(low: float | None, high: float | None) -> tuple[float, float] | None:
        return None if low is None or high is None else (position(low), position(high))

    return NumberLine(
        position(s.value),
        positions(s.low, s.high),
        position(s.null) if math.isfinite(s.null) else None,
        positions(s.null_low, s.null_high),
    )
