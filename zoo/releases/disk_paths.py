"""What a release must not tell: where things lie on the disk of whoever packed it.

Runs, reports and measurements record paths in full, for their owner. Published, they name a home directory and the
user, and are of no use to anybody else, so only the last part of each goes into a release.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import PurePath
from typing import Any


def disk_paths(value: Any) -> set[str]:
    """The absolute paths among the strings of nested lists and dictionaries; those inside a sentence are not found."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return {path for part in value for path in disk_paths(part)}
    return {value} if isinstance(value, str) and PurePath(value).is_absolute() and PurePath(value).name else set()


def without_disk_paths(text: str, paths: set[str]) -> str:
    """YAML, JSON or HTML with each path cut down to its last part: `/home/me/photos` to `photos`."""
    for path in sorted(paths, key=len, reverse=True):  # the longest first: one may begin another
        for spelt in (str, _in_json, html.escape):
            # A whole path: not the `/data` of `runs/data` or of `/database`.
            whole = re.compile(rf"(?<![\w./-]){re.escape(spelt(path))}(?![\w-])")
            text = spelt(PurePath(path).name).join(whole.split(text))
    return text


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]
