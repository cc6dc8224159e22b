"""The longest duration of a run, which Lightning reads only when training begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

WRITTEN = re.compile(r"\d+:\d\d:\d\d:\d\d")


def duration_fault(value: Any) -> str:
    """Return what is wrong with a duration for Lightning's Trainer, `DD:HH:MM:SS` or {hours: 12}; "" for nothing.

    Example:
        >>> duration_fault("00:12:00:00"), duration_fault({"hours": 12}), duration_fault(None)
        ('', '', '')
        >>> duration_fault("17")
        "'17' is no duration; write DD:HH:MM:SS, such as 00:12:00:00 for twelve hours, or {hours: 12}"
    """
    try:
        if value is None or (timedelta(**value) if isinstance(value, Mapping) else WRITTEN.fullmatch(str(value))):
            return ""
    except (TypeError, OverflowError):
        pass
    return f"{value!r} is no duration; write DD:HH:MM:SS, such as 00:12:00:00 for twelve hours, or {{hours: 12}}"
