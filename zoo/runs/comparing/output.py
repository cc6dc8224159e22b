"""A comparison on the terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from zoo.io.files import atomic_write, printable
from zoo.runs.comparing.comparison import Comparison, Difference, Row, Table

HEAD = (
    "group",
    "checkpoint",
    "seeds",
    "images seen",
    "mean",
    "SD over seeds",
    "95 % of the mean",
    "sampling of one run",
    "real against real",
)
TEXT_COLUMNS = 2
"""Number of columns, from the left, that hold texts; the others hold numbers."""
EXPLANATION = (
    "SD over seeds: standard deviation of the number between runs that differ in their seed alone. "
    "95 % of the mean: t interval of the mean over seeds. "
    "Sampling of one run: half the width of the 95 % interval over samples of a single run, averaged over runs; it "
    "says nothing about another training. "
    "Best: the checkpoint that the run selected on training images."
)


def cells(row: Row) -> list[str]:
    """Return a row of a table as texts; what there is not is empty."""
    spread, seen = row.spread, sorted(set(row.images_seen))
    return [
        row.group,
        row.checkpoint,
        str(spread.n),
        f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}",
        f"{spread.mean:.4g}",
        "one seed" if spread.deviation is None else f"{spread.deviation:.3g}",
        "" if spread.low is None or spread.high is None else f"{spread.low:.4g} to {spread.high:.4g}",
        "" if row.sampling is None else f"± {row.sampling:.3g}" + _share(row.sampling_n, spread.n),
        "" if row.floor is None else f"{row.floor:.4g}",
    ]


def _share(count: int, n: int) -> str:
    """Return how many of the runs have a sampling interval, if not all."""
    return "" if count == n else f" ({count} of {n})"


def sentence(difference: Difference) -> str:
    """Return a difference in words."""
    interval = (
        ""
        if difference.low is None or difference.high is None
        else f" (95 % Welch interval {difference.low:+.4g} to {difference.high:+.4g})"
    )
    return (
        f"{difference.checkpoint}: {difference.group} less {difference.baseline} is {difference.value:+.4g}{interval}: "
        f"{difference.verdict}"
    )


def print_comparison(comparison: Comparison) -> None:
    """Print all tables, the differences below each, and the notes."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:  # a file or a pipe has no width
        console = Console(soft_wrap=True, width=160)
    for table in comparison.tables:
        console.print(_rich(table))
        for difference in table.differences:
            console.print(f"  {sentence(difference)}", highlight=False, markup=False)
    for note in comparison.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def _rich(table: Table) -> RichTable:
    """Return a table for the terminal, without the columns that are empty in every row."""
    rows = [cells(row) for row in table.rows]
    shown = [i for i in range(len(HEAD)) if any(row[i] for row in rows)]
    # As `Text`: in a plain str, "[i]" of a metric's or a group's name would be taken for markup.
    rich = RichTable(title=Text(table.title, "table.title"), title_justify="left")
    for i in shown:
        rich.add_column(HEAD[i], justify="left" if i < TEXT_COLUMNS else "right", overflow="fold")
    for row in rows:
        rich.add_row(*(Text(row[i]) for i in shown))
    return rich


def write_json(comparison: Comparison, path: Path) -> None:
    """Write all numbers as JSON."""
    with atomic_write(path) as scratch:
        scratch.write_text(json.dumps(comparison.as_dict(), indent=2) + "\n", encoding="utf-8")


def write_markdown(comparison: Comparison, path: Path) -> None:
    """Write the tables as Markdown."""
    lines = ["# Comparison of runs", "", EXPLANATION, ""]
    for table in comparison.tables:
        lines += [f"## {table.title}", "", _line(HEAD), "|---" * TEXT_COLUMNS + "|--:" * (len(HEAD) - 2) + "|"]
        lines += [*(_line(cells(row)) for row in table.rows), ""]
        lines += [f"- {sentence(difference)}" for difference in table.differences]
        lines += [""] if table.differences else []
    lines += [f"- note: {note}" for note in comparison.notes]
    with atomic_write(path) as scratch:
        scratch.write_text(printable("\n".join(lines).rstrip()) + "\n", encoding="utf-8")


def _line(texts: tuple[str, ...] | list[str]) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(text.replace("|", r"\|") for text in texts) + " |"
