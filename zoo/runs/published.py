"""Published numbers of a recipe beside those measured of a run: `python -m zoo.evaluate ... compare=published`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.config.published import SECTION, check_numbers
from zoo.config.recipe_files import find_recipe
from zoo.config.values import read_yaml
from zoo.errors import UserError
from zoo.io.run_folder import RunFolder
from zoo.runs.evaluation_results import Evaluation

NOT_RUN = "not run"
READ_AS = {"source": "at the source", "second hand": "second hand", "unverified": "unverified"}


@dataclass(frozen=True)
class Beside:
    """A published number, and ours by the same protocol.

    Args:
        published: the entry of the recipe.
        ours: our value; None where it was not measured.
        how: how ours was measured, where it says more than the entry: numbers of images and split.
    """

    published: dict[str, Any]
    ours: float | None
    how: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**self.published, "ours": NOT_RUN if self.ours is None else self.ours, "how": self.how}


def published_of(run: Path | None, recipe: str) -> list[dict[str, Any]]:
    """Return the published numbers of a recipe: those that the run recorded, else those of the library's recipe.

    Args:
        run: folder of the run; None for a release.
        recipe: name of the recipe or of the release.

    Raises:
        UserError: if there are none.
    """
    recorded = [] if run is None else _numbers_in(RunFolder(run).recipe)
    if recorded:
        return recorded
    try:
        path: Path | None = find_recipe(recipe)
    except UserError:
        path = None
    entries = [] if path is None else _numbers_in(path)
    if not entries:
        raise UserError(
            f"compare=published: the recipe {recipe} has no section `numbers` of published values. Leave compare= "
            "out, or add one to a recipe of your own: number, value, of, protocol, source, read"
        )
    return entries


def _numbers_in(path: Path) -> list[dict[str, Any]]:
    """Return the published numbers in the file of a recipe; nothing if it has none or cannot be read."""
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return []
    entries, faults = check_numbers(content.get(SECTION) if isinstance(content, dict) else None)
    return [] if faults else entries


def beside(entries: list[dict[str, Any]], evaluation: Evaluation, run: Path | None) -> list[Beside]:
    """Return each published number with ours: of this evaluation, else of an earlier one of the run.

    Args:
        entries: the published numbers.
        evaluation: what was measured now.
        run: folder of the run, whose earlier evaluations are read; None for a release.
    """
    ours: dict[str, dict[str, Any]] = {}
    for number in [*_measured(evaluation.as_dict()), *_earlier(run)]:
        ours.setdefault(str(number["label"]), number)
    result = []
    for entry in entries:
        found = ours.get(entry["label"] or entry["number"])
        if found is None or found["value"] is None:
            result.append(Beside(entry, None))
            continue
        protocol = found["protocol"]
        counts = f"{protocol.get('n_fake')} samples against {protocol.get('n_real')} of {protocol.get('split')}"
        counts += f", after {protocol['images_seen']:,} images" if protocol.get("images_seen") else ""
        result.append(Beside(entry, float(found["value"]), counts))
    return result


def _measured(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the numbers of an evaluation that are of the whole model, without truncation."""
    for row in content["rows"]:
        if row.get("truncation") is None and row.get("component") is None:
            yield from row["numbers"]


def _earlier(run: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the numbers in the files of earlier evaluations of a run, the newest first."""
    if run is None:
        return
    files = sorted(RunFolder(run).all_evaluations(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files:
        try:
            yield from list(_measured(json.loads(path.read_text())))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def print_beside(pairs: list[Beside]) -> None:
    """Print published numbers beside ours, each with its protocol, its source and where it was read."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(soft_wrap=True, width=160)
    table = Table(title="published numbers beside ours", title_justify="left", show_lines=True)
    for name in ("number", "published", "ours", "of", "protocol", "source", "read"):
        table.add_column(name, justify="right" if name in ("published", "ours") else "left", overflow="fold")
    for pair in pairs:
        entry = pair.published
        spread = "" if entry["spread"] is None else f" ± {entry['spread']:g}"
        ours = NOT_RUN if pair.ours is None else f"{pair.ours:.5g}\n{pair.how}"
        row = (entry["number"], f"{entry['value']:g}{spread}", ours, entry["of"], entry["protocol"], entry["source"])
        table.add_row(*map(Text, row), READ_AS[entry["read"]])  # no text is taken for markup
    console.print(table)
    for note in (
        "a published number is one of its own training, batch and number of steps: with another recipe it is no target",
        "what was read second hand or not verified is no number to quote",
    ):
        console.print(f"note: {note}", highlight=False, markup=False)
