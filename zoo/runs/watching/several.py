"""The page of several runs: how far each is, its newest grid and verdict, and the comparison of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.io.run_folder import RunFolder
from zoo.rendering.templating import data_uri, render
from zoo.runs.comparing.comparison import Comparison, Table, compare_groups
from zoo.runs.comparing.grouping import find_runs, group_runs
from zoo.runs.comparing.output import EXPLANATION, HEAD, cells, sentence
from zoo.runs.history import read_run
from zoo.runs.verdict.verdict import verdict_of
from zoo.runs.watching.state import TEMPLATES
from zoo.runs.watching.status import status_of


def folders_of(runs: Sequence[str | Path]) -> list[Path]:
    """Return the run folders that are named: runs, groups, and folders with runs or groups in them.

    Raises:
        UserError: for a place without runs, or a file.
    """
    found, _ = find_runs(list(runs))
    for run in found:
        if run.path.is_file():
            raise UserError(
                f"run: {run.path} is a file; zoo.watch shows run folders. python -m zoo.compare reads files"
            )
    return [run.path for run in found]


def several_text(runs: Sequence[Path], addresses: Sequence[str], refresh: int = 0) -> str:
    """Return the text of the page of several runs.

    Args:
        runs: run folders.
        addresses: address of the page of each.
        refresh: seconds after which a browser loads the page again; 0 for never.
    """
    comparison, note = _comparison(runs)
    return render(
        TEMPLATES / "several.html",
        title=f"{len(runs)} runs",
        refresh=refresh,
        runs=[_entry(run, address) for run, address in zip(runs, addresses)],
        tables=comparison.tables if comparison else [],
        notes=[*(comparison.notes if comparison else []), *([note] if note else [])],
        explanation=EXPLANATION,
        table_of=_filled_columns,
        sentence=sentence,
    )


def _comparison(runs: Sequence[Path]) -> tuple[Comparison | None, str]:
    """Return the comparison of `python -m zoo.compare`; None with the reason where nothing can be compared."""
    found, notes = find_runs(list(runs))
    groups, said = group_runs(found)
    try:
        return compare_groups(groups, (), [*notes, *said]), ""
    except UserError as error:
        return None, f"No comparison: {error}."


def _filled_columns(table: Table) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table, without the columns that are empty in every row."""
    rows = [cells(row) for row in table.rows]
    shown = [i for i in range(len(HEAD)) if any(row[i] for row in rows)]
    return [HEAD[i] for i in shown], [[row[i] for i in shown] for row in rows]


def _entry(run: Path, address: str) -> dict[str, Any]:
    """Return what the page says of one run."""
    history = read_run(run)
    grids = RunFolder(run).sample_grids()
    try:
        picture = data_uri(grids[-1].read_bytes()) if grids else ""
    except (OSError, KeyError):
        picture = ""
    return {
        "name": run.name,
        "address": address,
        "picture": picture,
        "status": status_of(history),
        "verdict": verdict_of(history).headline,
    }
