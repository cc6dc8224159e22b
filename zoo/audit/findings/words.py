"""Numbers and states of a report in words, the same on the page, in Markdown and in the console."""

from __future__ import annotations

import math

from zoo.audit.findings.finding import Statistic, Status

STATES: dict[Status, str] = {
    "alarm": "alarm",
    "passed": "nothing found",
    "note": "to be read",
    "skipped": "not asked",
}
SIGNS: dict[Status, str] = {"alarm": "✕", "passed": "✓", "note": "!", "skipped": "–"}  # noqa: RUF001 - a dash is meant

ZERO = 1e-12  # what is smaller in size is a rounding error
HEALTHY_MEANS = (
    "No alarm rang. That is no proof: each alarm has a size below which it stays silent, and questions that could not "
    "be asked stay open."
)


def verdict_in_words(verdict: tuple[str, ...]) -> str:
    """A verdict as a heading."""
    whole = ", ".join(verdict) if verdict else "open: too little was asked"
    return whole[0].upper() + whole[1:]


def number(value: float | None, unit: str = "") -> str:
    """Three digits, thousands set apart, and the unit."""
    if value is None or math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "no limit" if value > 0 else "no lower limit"
    value = 0.0 if abs(value) < ZERO else value
    text = f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def interval(low: float | None, high: float | None) -> str:
    """The text `a to b`, or an empty one without ends."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    if math.isinf(high):
        return f"{number(low)} or more"
    return f"{number(low)} to {number(high)}"


def measured(statistic: Statistic) -> str:
    """A number with its interval."""
    ends = interval(statistic.low, statistic.high)
    return number(statistic.value, statistic.unit) + (f" ({ends})" if ends else "")


def expected(statistic: Statistic) -> str:
    """The null with its range, or an empty text where there is none."""
    if statistic.null is None:
        return ""
    ends = interval(statistic.null_low, statistic.null_high)
    return number(statistic.null, statistic.unit) + (f" ({ends})" if ends else "")


def percent(share: float, digits: int = 0) -> str:
    """A share as in "53 %"."""
    return f"{100 * share:.{digits}f} %"
