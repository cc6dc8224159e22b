"""Numbers, intervals and statuses of a report as text, the same on the page, in Markdown and in the console."""

from __future__ import annotations

import math

from zoo.audit.findings.finding import Statistic, Status

STATUS_LABELS: dict[Status, str] = {
    "alarm": "alarm",
    "passed": "no fault found",
    "note": "note",
    "skipped": "skipped",
}
STATUS_SIGNS: dict[Status, str] = {"alarm": "✕", "passed": "✓", "note": "!", "skipped": "–"}  # noqa: RUF001 - an en dash

ZERO = 1e-12  # absolute values below this are rounding errors
HEALTHY_MEANS = (
    "No alarm was raised. That is no proof of health: each alarm has a smallest effect that it can detect, and skipped "
    "questions remain open."
)


def verdict_heading(verdict: tuple[str, ...]) -> str:
    """Return a verdict as a heading."""
    text = ", ".join(verdict) if verdict else "undecided: too few questions could be answered"
    return text[0].upper() + text[1:]


def number(value: float | None, unit: str = "") -> str:
    """Return a number and its unit: three significant digits, or from 1,000 on a whole number with separators.

    None and NaN are "unknown"; infinity is "no limit", and minus infinity "no lower limit", without a unit.
    """
    if value is None or math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "no limit" if value > 0 else "no lower limit"
    value = 0.0 if abs(value) < ZERO else value
    text = f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def interval(low: float | None, high: float | None) -> str:
    """Return an interval as "a to b", or as "a or more" if `high` is infinite.

    The text is empty if an end is None or NaN.
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    if math.isinf(high):
        return f"{number(low)} or more"
    return f"{number(low)} to {number(high)}"


def measured(statistic: Statistic) -> str:
    """Return the value of a statistic with its interval."""
    ends = interval(statistic.low, statistic.high)
    return number(statistic.value, statistic.unit) + (f" ({ends})" if ends else "")


def expected(statistic: Statistic) -> str:
    """Return the null of a statistic with its range, or an empty text if there is no null."""
    if statistic.null is None:
        return ""
    ends = interval(statistic.null_low, statistic.null_high)
    return number(statistic.null, statistic.unit) + (f" ({ends})" if ends else "")


def percent(share: float, digits: int = 0) -> str:
    """Return a share in [0, 1] as in "53 %"."""
    return f"{100 * share:.{digits}f} %"
