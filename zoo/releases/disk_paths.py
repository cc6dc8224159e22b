"""Removal of absolute paths from a release.

Runs, reports and measurements record paths in full, for their owner. In a published release, such paths reveal the name
of the user and the layout of the disk and are of no use to anyone else, so only the last part of each path is kept.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import PurePath
from typing import Any


def disk_paths(value: Any) -> set[str]:
    """Return the absolute paths among the strings of nested lists and dictionaries.

    A string counts if all of it is a path; paths inside a sentence are not found.
    """
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return {path for part in value for path in disk_paths(part)}
    return {value} if isinstance(value, str) and PurePath(value).is_absolute() and PurePath(value).name else set()


def without_disk_paths(text: str, paths: set[str]) -> str:
    """Replace each path in YAML, JSON or HTML by its last part: `/home/me/photos` by `photos`."""
    for path in sorted(paths, key=len, reverse=True):  # the longest first, because one path may begin with another
        for escape in (str, _escape_json, html.escape):
            # Only a complete path: not the `/data` of `runs/data` or of `/database`.
            pattern = re.compile(rf"(?<![\w./-]){re.escape(escape(path))}(?![\w-])")
            text = escape(PurePath(path).name).join(pattern.split(text))
    return text


def _escape_json(text: str) -> str:
    return json.dumps(text)[1:-1]
