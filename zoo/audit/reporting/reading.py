"""Read a report back from its JSON, without figures, which are not part of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from zoo.audit.findings import formatting
from zoo.audit.findings.finding import Finding, Statistic
from zoo.audit.reporting.report import Report
from zoo.errors import UserError, first_line


def read_report(path: Path) -> Report:
    """Read the `report.json` of an audit, or the `audit.json` of a release.

    JSON has no infinity, so `Report.save` writes None for it. An interval with a lower end and without an upper one is
    read as open above, and so is a value without a number in such an interval.

    Args:
        path: path of the JSON file.

    Returns:
        The report without figures.

    Raises:
        UserError: when the file cannot be read or is not a report.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        findings = tuple(_finding(finding) for finding in saved["findings"])
        return Report(str(saved["subject"]), findings, dict(saved["about"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{path} is not a report of python -m zoo.audit: {first_line(error)}") from error


def _finding(saved: dict[str, Any]) -> Finding:
    """Build a finding from its JSON.

    Raises:
        ValueError: for a status that no report has.
    """
    if saved["status"] not in formatting.STATUS_LABELS:
        raise ValueError(f"status is {saved['status']!r}, not one of {', '.join(formatting.STATUS_LABELS)}")
    return Finding(
        str(saved["name"]),
        str(saved["question"]),
        saved["status"],
        str(saved["answer"]),
        tuple(_statistic(statistic) for statistic in saved["statistics"]),
        dict(saved["flags"]),
        protocol=dict(saved["protocol"]),
        seconds=float(saved["seconds"]),
    )


def _statistic(saved: dict[str, Any]) -> Statistic:
    """Build a statistic from its JSON, with infinite bounds in place of those that are missing."""
    low, high = _bounds(saved["low"], saved["high"])
    null_low, null_high = _bounds(saved["null_low"], saved["null_high"])
    value = saved["value"]
    if value is None:
        value = math.inf if high == math.inf else math.nan
    return Statistic(
        str(saved["name"]),
        float(value),
        low,
        high,
        None if saved["null"] is None else float(saved["null"]),
        null_low,
        null_high,
        None if saved["n"] is None else int(saved["n"]),
        str(saved["unit"]),
        bool(saved["alarm"]),
        str(saved["says"]),
    )


def _bounds(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Return both ends of an interval, the upper one infinite where only the lower one is known."""
    if low is None:
        return None, None
    return float(low), math.inf if high is None else float(high)
