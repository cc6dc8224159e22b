"""Rows of a study: each is saved as soon as it is computed, not computed again, and never that of half a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tables import write_between

import zoo
from zoo.io.files import atomic_write

RESULTS = Path(__file__).parent / "results"
FIGURES = Path(__file__).parents[1] / "docs" / "images"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a results file."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"]
    return rows


class Rows(list[dict[str, Any]]):
    """Rows of a JSON file that also contains the protocol of the study.

    Args:
        path: the file; its rows are read if it exists.
        protocol: the study's docstring.
        **about: further entries that hold for all rows; they replace entries of the same names in the file.
    """

    def __init__(self, path: Path, protocol: str | None, **about: Any) -> None:
        content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        super().__init__(content.pop("rows", []))
        self.path = path
        self.about = content | {"protocol": (protocol or "").strip(), "torch": torch.__version__} | about

    def has(self, **wanted: Any) -> bool:
        """Check whether there is a row with these values."""
        return any(all(row.get(key) == value for key, value in wanted.items()) for row in self)

    def collect(self, paths: Iterable[str], keys: Iterable[str]) -> None:
        """Add the rows of other results files, of which none with the same values of these keys is here."""
        for path in paths:
            for row in Rows(Path(path), None):
                if not self.has(**{key: row.get(key) for key in keys}):
                    self.leave([row])

    def leave(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows and write the file atomically."""
        self.extend(rows)
        with atomic_write(self.path) as path:
            path.write_text(json.dumps({**self.about, "rows": self}, indent=1) + "\n")

    def show(self, lines: Iterable[str], page: Path, begin: str, end: str) -> None:
        """Print the lines of a table; if the rows are the committed results, also write them into a page.

        Args:
            lines: lines of Markdown.
            page: page that contains both marks.
            begin: mark before the table.
            end: mark after it.
        """
        lines = list(lines)
        if self.path.parent == RESULTS:
            write_between(page, begin, end, ["", *lines, ""])
        print("\n".join(lines))


def train_fully(recipe: str, **options: Any) -> zoo.Run:
    """Train as `zoo.fit` does, to the end.

    Raises:
        KeyboardInterrupt: if a signal ended the run early, which is saved then: half a run is no row.
    """
    run = zoo.fit(recipe, **options)
    assert isinstance(run, zoo.Run)
    if run.stopped_by:
        raise KeyboardInterrupt(f"stopped by signal {run.stopped_by}")
    return run
