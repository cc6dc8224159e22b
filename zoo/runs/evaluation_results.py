"""The results of `python -m zoo.evaluate`: the numbers with their notes, as JSON, as a table and as a curve."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.errors import UserError
from zoo.evaluation.metric_table import FRECHET
from zoo.evaluation.numbers import Number
from zoo.features import Extractor
from zoo.io.files import atomic_write, with_home
from zoo.rendering.curves import draw_curves
from zoo.rendering.svg import can_plot

PACKAGES = ("gan-zoo", "torch", "torchvision", "torchmetrics", "torch-fidelity", "timm", "numpy", "pillow")
RAISED_BY_BLUR = ("precision", "density")
BEYOND = 1.1  # ratio to the floor that is worth a note where there are no intervals
PROTOCOL = (
    "extractor",
    "weights",
    "resize",
    "data",
    "split",
    "n_real",
    "n_fake",
    "n_train",
    "reference",
    "made_by",
    "seed",
    "images_seen",
    "generator",
)
"""Entries of a number's protocol that are printed below the table."""


@dataclass(frozen=True)
class Evaluation:
    """The results of one evaluation.

    Args:
        subject: description of the model or folder that was measured.
        path: usual file for the results.
        rows: one mapping for each truncation and component: `truncation`, `numbers` (a list of `Number`), where they
            apply `component` and `cas`.
        notes: warnings for the reader of the numbers.
        versions: version of each package that computed the numbers.
        run: recipe, seed and settings of the run that was measured, with which `zoo.compare` pools runs that differ in
            their seed alone; empty for anything but a run.
        published: published numbers of the recipe, each with ours beside it, if they were asked for.
    """

    subject: str
    path: Path
    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        rows = [{**row, "numbers": [number.as_dict() for number in row["numbers"]]} for row in self.rows]
        about = {"subject": self.subject, "notes": self.notes, "versions": self.versions, "run": self.run}
        return {**about, "rows": rows, **({"published": self.published} if self.published else {})}

    def write(self, path: Path) -> None:
        """Write the results as JSON."""
        with atomic_write(path) as scratch:
            scratch.write_text(json.dumps(self.as_dict(), indent=2) + "\n")

    def unused_path(self) -> Path:
        """Return the usual file, or with a number appended where the file holds another measurement.

        A file with the same measurement is written again, any other file is kept.
        """
        measurement = _measurement(self.as_dict())
        candidates = chain([self.path], (self.path.with_stem(f"{self.path.stem}-{i}") for i in count(2)))
        return next(path for path in candidates if not path.exists() or _measurement_in(path) == measurement)


def notes_on_rows(rows: list[dict[str, Any]], network: Extractor) -> list[str]:
    """Return warnings for the reader of the rows of an evaluation, see `notes_on`; a warning is given once."""
    return list(dict.fromkeys(note for row in rows for note in notes_on(row["numbers"], network, _name_of(row))))


def _name_of(row: dict[str, Any]) -> str:
    """Return truncation and generator of a row, as the end of a heading; empty where the row has neither."""
    level = "" if row["truncation"] is None else f", truncation {row['truncation']:g}"
    return ("" if row.get("component") is None else f", generator {row['component']} alone") + level


def notes_on(numbers: list[Number], network: Extractor, row: str = "") -> list[str]:
    """Return warnings for the reader of numbers: bias of Fréchet distances, comparability of the extractor.

    Args:
        numbers: the numbers of one row of an evaluation.
        network: the extractor.
        row: truncation and generator of the row, for a warning about its values.
    """
    notes = []
    frechet = [number for number in numbers if number.key in FRECHET]
    if frechet:
        first = frechet[0]
        n = min(first.protocol["n_real"] or first.protocol["n_fake"], first.protocol["n_fake"])
        notes.append(
            "a Fréchet distance falls with the number of images: compare it at the same n"
            + (
                ". Mean and covariance alone have no 'real against real', which is what a perfect generator would get"
                if _of_statistics(first)
                else ", and with 'real against real', two disjoint sets of real images, which is what a perfect "
                "generator would get"
            )
        )
        if n <= network.width:
            notes.append(
                f"n={n:,} is not more than the {network.width:,} dimensions of {network.name}: the distance is mostly "
                "bias. Prefer KID, an extractor with fewer dimensions, or more images"
            )
        if first.floor_n is not None and first.floor_n != (first.protocol["n_real"], first.protocol["n_fake"]):
            notes.append(
                f"there are too few real images for two sets of this size; 'real against real' is at "
                f"{first.floor_n[0]:,}, and therefore too high for Fréchet distances"
            )
    above = [number for number in numbers if number.key in RAISED_BY_BLUR and _above_floor(number)]
    if above:
        listed = ", ".join(f"{number.label} ({number.value:.3g}, real images {number.floor:.3g})" for number in above)
        notes.append(
            f"above real images{row}: {listed}. Blurred and repeated images raise precision and density, so this is no "
            "sign of quality; look at recall and coverage, and at the images"
        )
    notes += _without_interval(numbers)
    if numbers and network.compares_with:
        notes.append(
            f"numbers from {network.name} compare with {network.compares_with}, measured on the same real images at "
            "the same n, and with no others"
        )
    elif numbers:
        notes.append(
            f"numbers from {network.name} compare with each other only; extractor=inception gives published FIDs"
        )
    return notes


def _without_interval(numbers: list[Number]) -> list[str]:
    """Return why numbers have no interval, where random halves of the images were too small for one."""
    labels: dict[str, list[str]] = {}
    for number in numbers:
        reason = number.protocol.get("no_interval")
        if reason:
            labels.setdefault(reason, []).append(number.label)
    return [
        f"no 95 % interval for {', '.join(without)}: it comes from random halves of the images, and those are too "
        f"small ({reason}). Measure more images"
        for reason, without in labels.items()
    ]


def _of_statistics(number: Number) -> bool:
    """Return whether a number was measured against mean and covariance alone, without real images."""
    return str(number.protocol.get("reference", "")).startswith("mean and covariance")


def _above_floor(number: Number) -> bool:
    """Check that a number is above that of real images by more than chance, or by `BEYOND` if it has no interval."""
    if number.floor is None:
        return False
    if number.low is None:
        return number.value > BEYOND * number.floor
    return number.value - number.floor > 2**0.5 * (number.value - number.low)  # the floor is as uncertain


def save_and_print(evaluation: Evaluation, out: str | None, curve: bool) -> None:
    """Write the results to a file and print them.

    Args:
        evaluation: the results.
        out: the file; None for the usual one, or one with a number where that holds another measurement.
        curve: whether to draw the numbers over the truncation, beside the file.

    Raises:
        UserError: when a file cannot be written.
    """
    path = with_home(out) if out else evaluation.unused_path()
    try:
        print_table(evaluation)  # first: a measurement takes long, and the file may be refused
        evaluation.write(path)
        print(f"numbers: {path}")
        if curve:
            print(_draw_curve(evaluation, path.with_suffix(".png")))
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}") from error


def print_table(evaluation: Evaluation) -> None:
    """Print a table for each row, then the protocol that all rows share, and the notes."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:  # a file or a pipe has no width
        console = Console(soft_wrap=True, width=120)
    for row in evaluation.rows:
        console.print(_table_of(evaluation.subject, row))
    first: list[Number] = evaluation.rows[0]["numbers"]
    protocol = first[0].protocol if first else {}
    for key in PROTOCOL:
        if protocol.get(key) is not None:
            console.print(f"  {key}: {protocol[key]}", highlight=False, markup=False)
    for note in evaluation.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def _table_of(subject: str, row: dict[str, Any]) -> Table:
    """Return the table of one row of results."""
    # As `Text`: in a plain str, "[i]" of a folder's or a metric's name would be taken for markup.
    table = Table(title=Text(f"{subject}{_name_of(row)}", "table.title"), title_justify="left")
    for name in ("number", "value", "95 % interval", "real against real", "better"):
        table.add_column(name, justify="left" if name in ("number", "better") else "right", no_wrap=True)
    numbers: list[Number] = row["numbers"]
    for number in numbers:
        interval = "" if number.low is None else f"{number.low:.5g} to {number.high:.5g}"
        better = "higher" if number.higher_is_better else "lower"
        table.add_row(Text(number.label), f"{number.value:.5g}", interval, _floor_text(number), better)
    if "cas" in row:
        cas = row["cas"]
        interval = f"{cas['low']:.4f} to {cas['high']:.4f}"
        table.add_row("classification accuracy", f"{cas['score']:.4f}", interval, f"{cas['reference']:.4f}", "higher")
    return table


def _floor_text(number: Number) -> str:
    """Return the number between two sets of real images, with their size where it differs from the number's own."""
    if _of_statistics(number):
        return ""
    if number.floor is None or number.floor_n is None:
        return "too few real images" if number.key in FRECHET else ""
    same = number.floor_n == (number.protocol["n_real"], number.protocol["n_fake"])
    return f"{number.floor:.5g}" + ("" if same else f" (at {number.floor_n[0]:,})")


def _draw_curve(evaluation: Evaluation, path: Path) -> str:
    """Draw the numbers over the truncation; return the line to print about it."""
    if not can_plot():
        return "no curve was drawn: install matplotlib with pip install 'gan-zoo[metrics]'"
    rows = [row for row in evaluation.as_dict()["rows"] if row.get("component") is None]
    draw_curves(rows, "truncation", "truncation", path)
    return f"curve: {path}"


def _measurement(content: dict[str, Any]) -> list[Any]:
    """Return a description of what was measured and how, without the values, from the content of a file."""
    return [
        [row["truncation"], row.get("component"), "cas" in row, [number["protocol"] for number in row["numbers"]]]
        for row in content["rows"]
    ]


def _measurement_in(path: Path) -> list[Any] | None:
    """Return the measurement that a file holds; None for a file that `python -m zoo.evaluate` did not write."""
    try:
        return _measurement(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
