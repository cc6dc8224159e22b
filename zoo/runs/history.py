"""Read what a run folder records over time: metrics, signals of the alarms, events, and whether the run has ended.

Only text files are read, so a training that goes on is not slowed down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from zoo.config.values import read_yaml, without_words
from zoo.errors import CheckpointError, first_line, shell_word
from zoo.io.files import read_jsonl, read_table
from zoo.io.group_folder import group_hint
from zoo.io.run_folder import STEP, RunFolder

Curve = tuple[list[float], list[float]]
"""Numbers of images seen, and the values at them."""
Curves = dict[str, Curve]
"""Curves by name."""


SHOWN = ("seed", "images", "model", "data", "callbacks")
"""Sections of a recipe that the page of a run shows."""


@dataclass(frozen=True)
class RunHistory:
    """The records of a run.

    Args:
        folder: the run folder.
        recipe: the resolved recipe.
        metrics: the columns of `metrics.csv`.
        signals: the signals that the alarms read.
        events: the alarms that were raised, oldest first.
        ended: whether the last start of the run has ended; False while it trains and after a kill.
    """

    folder: Path
    recipe: dict[str, Any]
    metrics: Curves
    signals: Curves
    events: list[dict[str, Any]]
    ended: bool

    @property
    def images_seen(self) -> int:
        """The largest number of images seen that a record has."""
        return int(max((seen[-1] for seen, _ in [*self.metrics.values(), *self.signals.values()]), default=0))


def read_run(folder: Path) -> RunHistory:
    """Read the records of a run.

    Args:
        folder: the run folder.

    Raises:
        CheckpointError: when it is not a run folder.
    """
    files = RunFolder(folder)
    if hint := group_hint(folder):
        raise CheckpointError(f"{hint}. python -m zoo.compare {shell_word(folder)} compares all of them")
    if not files.recipe.is_file():
        raise CheckpointError(
            f"{folder} is no run folder: it has no {files.recipe.name}. `python -m zoo.fit` makes one"
        )
    recipe = _read_recipe(files.recipe)
    starts, ends = files.starts(), files.ends()
    # A start without an end was killed, so the number of ends alone does not tell whether the last start has ended.
    ended = bool(ends) and ends[-1].get("start", len(ends)) >= len(starts)
    return RunHistory(
        folder,
        recipe,
        _read_metrics(files.metrics_table),
        _read_signals(files.signals),
        [event for event in read_jsonl(files.events) if isinstance(event.get(STEP), int)],
        ended=ended,
    )


def _read_recipe(path: Path) -> dict[str, Any]:
    """Read the recipe of a run as plain values, with every reference resolved.

    Raises:
        CheckpointError: if it is damaged.
    """
    try:
        written = OmegaConf.create(without_words(read_yaml(path.read_text(encoding="utf-8"))))
        content: Any = OmegaConf.to_container(written, resolve=True)
    except (OSError, ValueError, TypeError, AssertionError, YAMLError, OmegaConfBaseException) as error:
        raise CheckpointError(f"{path} cannot be read: {first_line(error)}. Restore it from a copy") from error
    sections = content if isinstance(content, dict) else {}
    missing = [name for name in SHOWN if name not in sections]
    missing += [f"{name}.class" for name in ("model", "data") if "class" not in (sections.get(name) or ())]
    if missing:
        raise CheckpointError(f"{path} is no whole recipe: it has no {', '.join(missing)}. Restore it from a copy")
    return sections


def _read_metrics(path: Path) -> Curves:
    """Read `metrics.csv`; no curves where there is no file."""
    curves: Curves = {}
    for row in read_table(path, STEP)[1]:
        _append(curves, float(row.pop(STEP)), row.items())
    return curves


def _read_signals(path: Path) -> Curves:
    """Read the signals that the alarms recorded."""
    curves: Curves = {}
    for row in read_jsonl(path):
        seen, values = row.get(STEP), row.get("values")
        if isinstance(seen, int) and isinstance(values, dict):
            _append(curves, seen, values.items())
    return curves


def _append(curves: Curves, images_seen: float, values: Iterable[tuple[str, Any]]) -> None:
    """Append one row of values to the curves; empty values are left out."""
    for name, text in values:
        if text not in (None, "") and (value := _number_in(text)) is not None:
            seen, numbers = curves.setdefault(name, ([], []))
            seen.append(images_seen)
            numbers.append(value)


def _number_in(text: Any) -> float | None:
    """Return the number that a record holds, also NaN and infinity as texts; None for anything else."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
