"""The plan of a run as text."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from zoo.runs.photos.choices import Line

NARROWEST, WIDEST = 70, 140
"""Columns of the narrowest and the widest table."""
LONGEST_VALUE = 24
"""Characters of a value, above which the reason begins on a line of its own."""


def table(lines: Sequence[Line], columns: int = 0) -> str:
    """Return the plan: a column of names, one of values, and the reasons.

    Args:
        lines: the lines of the plan.
        columns: width in characters; 0 for that of the terminal.
    """
    width = min(max(columns or shutil.get_terminal_size((120, 24)).columns, NARROWEST), WIDEST)
    names = max(len(line.what) for line in lines)
    values = min(LONGEST_VALUE, max(len(line.value) for line in lines))
    indent = " " * (names + values + 6)
    text = ["the plan (each line can be changed: KEY=VALUE):"]
    for line in lines:
        head = f"  {line.what:{names}}  {line.value:{values}}  "
        if len(head) > len(indent):
            text.append(head.rstrip())
            head = indent
        reason = textwrap.wrap(line.reason, width - len(indent), break_on_hyphens=False, break_long_words=False)
        text += [(start + part).rstrip() for start, part in zip([head, *[indent] * len(reason)], reason or [""])]
    return "\n".join(text)
