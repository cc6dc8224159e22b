"""`python -m zoo.evaluate checkpoint=RUN`: numbers about samples, with the protocol of each."""

from __future__ import annotations

import json
from itertools import chain, count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError, first_line
from zoo.evaluation import METRICS, Number
from zoo.evaluation.numbers import FRECHET, check_metrics
from zoo.evaluation.reference import SplitName
from zoo.io.files import atomic_write
from zoo.rendering.curves import draw_curves
from zoo.rendering.pictures import can_plot
from zoo.runs.measuring import Evaluation, Request, evaluate_checkpoint, evaluate_folders
from zoo.sampling.images import TruncationBy
from zoo.training.hardware import select_device

CAS = "cas"


def evaluate(
    checkpoint: str | None = None,
    real: str | None = None,
    fake: str | None = None,
    data: dict[str, Any] | None = None,
    best: bool = False,
    metrics: str | list[str] | None = None,
    n: int | None = None,
    n_real: int = 0,
    split: SplitName = "held_out",
    extractor: str = "",
    options: dict[str, Any] | None = None,
    truncation: Any = None,  # a number or a list of numbers: OmegaConf has no such type that mixes 1 and 0.5
    truncation_by: TruncationBy = "redrawing",
    component: Any = None,  # a number or `all`
    resolution: int = 0,
    seed: int = 0,
    repeats: int = 10,
    device: str = "auto",
    out: str | None = None,
    cls: str | list[str] | None = None,
) -> Evaluation:
    """Measure, print a table, write JSON beside it.

    Args:
        checkpoint: a run folder, a checkpoint file, or a release: its name, folder or file, or `hf:ORG/NAME`.
        real: instead of a checkpoint, a folder of real images,
        fake: and one of generated images.
        data: settings in place of those of the run's data.
        best: take the run's best checkpoint instead of the last.
        metrics: names, a list or joined by commas; None for those that suit the data.
        n: generated images; None for as many as there are real ones, 50,000 at most.
        n_real: real images; 0 for as many as generated ones.
        split: `held_out` or `train`.
        extractor: of the features; empty for the one that suits the data without a download.
        options: of the extractor.
        truncation: of the latents; a list gives a curve.
        truncation_by: see `zoo.sampling.images.truncated`.
        component: of a mixture, the generator to measure; `all` for the mixture and each of them.
        resolution: of two folders' images; 0 for that of the generated ones.
        seed: of latents and of the choice of real images.
        repeats: random halves for the 95 % intervals; 0 for none.
        device: `auto`, `cpu` or `cuda`.
        out: the JSON file; None for one in the run's folder that holds no other measurement.
        cls: import path of a class of the user's own that a release was made of.

    Raises:
        UserError: for what cannot be measured, before anything long begins.
    """
    if (checkpoint is None) == (real is None and fake is None) or (checkpoint is None and None in (real, fake)):
        raise UserError(
            "give either checkpoint=RUN, or two folders of images: real=FOLDER fake=FOLDER"
            + (
                ""
                if checkpoint is None
                else ". To measure a checkpoint on a folder: data.class=Folder data.root=FOLDER"
            )
        )
    names = metrics.replace(" ", "").split(",") if isinstance(metrics, str) else list(metrics or [])
    if names:
        check_metrics([name for name in names if name != CAS] or ["fid"])
    if (n is not None and n < 10) or n_real < 0 or n_real in range(1, 10):
        raise UserError(f"n and n_real: at least 10 images; got n={n} n_real={n_real}")
    if repeats < 0 or repeats == 1:
        raise UserError(f"repeats: 0 for no intervals, or at least 2; got {repeats}")
    levels = _levels(truncation)
    if out is not None and not out.endswith(".json"):
        raise UserError(f"out: a file ending in .json; got {out!r}")
    request = Request(
        names,
        extractor,
        dict(options or {}),
        n,
        n_real,
        split,
        seed,
        repeats,
        levels,
        truncation_by,
        select_device(device),
        component,
    )
    if checkpoint is not None:
        found = evaluate_checkpoint(checkpoint, best, dict(data or {}), request, cls)
    else:
        assert real is not None
        assert fake is not None
        found = evaluate_folders(real, fake, resolution, request)
    path = Path(out) if out else _unused(found)
    try:
        with atomic_write(path) as scratch:
            scratch.write_text(json.dumps(found.as_dict(), indent=2) + "\n")
        print_table(found)
        print(f"numbers: {path}")
        if len(levels) > 1:
            print(_curve(found, path.with_suffix(".png")))
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}") from error
    return found


def _unused(found: Evaluation) -> Path:
    """The file's usual name; with a number behind it where that one holds other measurements, so that none is lost."""
    usual, wanted = found.path, _measured(found.as_dict())
    names = chain([usual], (usual.with_stem(f"{usual.stem}-{i}") for i in count(2)))
    return next(path for path in names if not path.exists() or _measured_in(path) == wanted)


def _measured(content: dict[str, Any]) -> list[Any]:
    """What was measured and how, without the values."""
    return [
        [row["truncation"], row.get("component"), "cas" in row, [number["protocol"] for number in row["numbers"]]]
        for row in content["rows"]
    ]


def _measured_in(path: Path) -> list[Any] | None:
    try:
        return _measured(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError):  # no file of ours, which stays
        return None


def _levels(truncation: Any) -> list[float | None]:
    """Truncations as a list.

    Raises:
        UserError: for what is no positive number or list of them.
    """
    if truncation is None:
        return [None]
    given = truncation if isinstance(truncation, list) else [truncation]
    numbers = [value for value in given if isinstance(value, int | float) and not isinstance(value, bool) and value > 0]
    if not numbers or len(numbers) < len(given):
        raise UserError(f"truncation: a positive number, or a list of them; got {truncation!r}")
    return [float(value) for value in numbers]


def print_table(found: Evaluation) -> None:
    """The numbers, and under them what they hold for."""
    console = Console(soft_wrap=True)
    if not console.is_terminal:  # a file or a pipe has no width
        console = Console(soft_wrap=True, width=120)
    shared = found.rows[0]["numbers"][0].protocol if found.rows[0]["numbers"] else {}
    for row in found.rows:
        numbers: list[Number] = row["numbers"]
        level = "" if row["truncation"] is None else f", truncation {row['truncation']:g}"
        member = "" if row.get("component") is None else f", generator {row['component']} alone"
        table = Table(title=f"{found.subject}{member}{level}", title_justify="left")
        for name in ("number", "value", "95 % interval", "real against real", "better"):
            table.add_column(name, justify="left" if name in ("number", "better") else "right", no_wrap=True)
        for number in numbers:
            interval = "" if number.low is None else f"{number.low:.5g} to {number.high:.5g}"
            table.add_row(
                number.label,
                f"{number.value:.5g}",
                interval,
                _floor_text(number),
                "higher" if number.higher_is_better else "lower",
            )
        if "cas" in row:
            cas = row["cas"]
            table.add_row(
                "classification accuracy",
                f"{cas['score']:.4f}",
                f"{cas['low']:.4f} to {cas['high']:.4f}",
                f"{cas['reference']:.4f}",
                "higher",
            )
        console.print(table)
    for key in (
        "extractor",
        "weights",
        "resize",
        "data",
        "split",
        "n_real",
        "n_fake",
        "seed",
        "images_seen",
        "generator",
    ):
        if shared.get(key) is not None:
            console.print(f"  {key}: {shared[key]}", highlight=False, markup=False)
    for note in found.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def _floor_text(number: Number) -> str:
    if number.floor is None or number.floor_n is None:
        return "too few real images" if number.key in FRECHET else ""
    same = number.floor_n == (number.protocol["n_real"], number.protocol["n_fake"])
    return f"{number.floor:.5g}" + ("" if same else f" (at {number.floor_n[0]:,})")


def _curve(found: Evaluation, path: Path) -> str:
    if not can_plot():
        return "no curve was drawn: install matplotlib with pip install 'gan-zoo[metrics]'"
    rows = [{**row, "numbers": [number.as_dict() for number in row["numbers"]]} for row in found.rows]
    draw_curves([row for row in rows if row.get("component") is None], "truncation", "truncation", path)
    return f"curve: {path}"


def main(**words: Any) -> None:
    """Placeholder; the text is below, where it can list the metrics."""
    try:
        evaluate(**checked_arguments(evaluate, words))
    except ValueError as error:  # of an extractor or a metric
        if isinstance(error, UserError):
            raise
        raise UserError(first_line(error)) from error


main.__doc__ = (
    """Measure a trained model's samples, or a folder of images, against real images.

checkpoint=RUN             a run folder (its last checkpoint), a checkpoint file, or a release: dcgan_digits
best=true                  the run's best checkpoint instead of the last
data.KEY=VALUE             other data than the run's: data.class=Folder data.root=photos
real=FOLDER fake=FOLDER    instead of a checkpoint: two folders of images
metrics=fid,kid,prdc       any of the list below
n=50000 n_real=0           generated images, by default as many as there are real ones; real images, 0 for as many
split=held_out             or train, as published FIDs are measured
extractor=inception        for FIDs that compare with papers; else effnet-lite0, digits, pixels, ...
options.weights=PATH       of the extractor: also options.size=128, options.features=320
truncation=[0.5,0.7,1.0]   one value, or several for a curve
component=all              of a mixture: it and each of its generators; component=2 for one of them
repeats=10                 random halves for the 95 % intervals, 0 for none
seed=0 device=auto out=FILE.json
cls=my_ideas.Mine          the class, where it is one of your own and checkpoint is a release

metrics
"""
    + "\n".join(f"  {name:13} {kind.description}" for name, kind in METRICS.items())
    + ("\n  cas           classification accuracy score, for conditional models")
)


if __name__ == "__main__":
    run_command("evaluate", main)
