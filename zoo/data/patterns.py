"""Regular expressions that a user gives: checked when they are given, and searched for in bounded time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence

from zoo.errors import DataError

LONGEST, LONGEST_EACH = 8.0, 1e-4
"""Seconds that a search may take: altogether, and in addition for each text."""
PART = 100_000
"""Largest number of texts that are searched at once, which bounds the memory of the search."""
WORKER = """
import json, re, sys
pattern, texts = json.load(sys.stdin)
matches = map(re.compile(pattern).search, texts)
json.dump([match and (match.groups("") or [match[0]]) for match in matches], sys.stdout)
"""
"""Program of the process that searches. Python cannot interrupt a search, but it can end a process."""


def compile_pattern(setting: str, pattern: str) -> re.Pattern[str] | None:
    """Compile the regular expression of a setting; return None if it is empty.

    Args:
        setting: name of the setting, such as "data.match".
        pattern: the expression.

    Raises:
        ValueError: if it is not a valid expression.
    """
    try:
        return re.compile(pattern) if pattern else None
    except (re.error, RecursionError, OverflowError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{setting} is a regular expression; {pattern[:200]!r} is none: {reason}") from None


def search(setting: str, pattern: re.Pattern[str], texts: Sequence[str]) -> Iterator[tuple[str, ...] | None]:
    """Search for an expression in texts: in a process of its own, which is ended when it takes too long.

    An expression such as `(a+)+$` needs a time that doubles with each character of a text that it does not match.

    Args:
        setting: name of the setting, such as "data.match".
        pattern: the expression.
        texts: the texts.

    Yields:
        For each text the contents of the parentheses, or the match if there are none; None where nothing matches.

    Raises:
        DataError: if the search takes too long.
    """
    for first in range(0, len(texts), PART):
        yield from _search_part(setting, pattern, texts[first : first + PART])


def _search_part(setting: str, pattern: re.Pattern[str], texts: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Search for an expression in texts at once; see `search`."""
    seconds = LONGEST + LONGEST_EACH * len(texts)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", WORKER],
            input=json.dumps([pattern.pattern, list(texts)]),
            capture_output=True,
            text=True,
            encoding="ascii",
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise DataError(
            f"{setting}={pattern.pattern!r} takes longer than {seconds:.0f} s for {len(texts):,} paths, such as "
            f"{texts[0]}. A repetition within a repetition, such as (a+)+ or (.*x)*, takes a time that doubles with "
            "each character; write it with one repetition"
        ) from None
    return [None if parts is None else tuple(parts) for parts in json.loads(done.stdout)]
