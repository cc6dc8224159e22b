"""Cells and tables of studies: numbers over training seeds as text, and the place of a table in a page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path


def mean_and_deviation(values: Sequence[float], form: str = "{:.3g}") -> str:
    """Return mean and standard deviation over training seeds as text; empty without values, the mean alone of one."""
    if not values:
        return ""
    mean = form.format(statistics.mean(values))
    return mean if len(values) == 1 else f"{mean} ± {form.format(statistics.stdev(values))}"


def mean_and_range(values: Sequence[float], form: str = "{:.3g}") -> str:
    """Return the mean over training seeds as text, with the smallest and the largest value if they show."""
    if not values:
        return ""
    low, high, mean = (form.format(f(values)) for f in (min, max, statistics.mean))
    return mean if low == high else f"{mean} ({low} to {high})"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return [lines[0], "|" + "---|" * len(header), *lines[1:]]


def write_between(page: Path, begin: str, end: str, lines: Iterable[str]) -> None:
    """Replace what a page has between two marks, each of which stands in a line of its own."""
    before, _, rest = page.read_text().partition(begin)
    page.write_text("\n".join([before + begin, *lines, end + rest.partition(end)[2]]))
