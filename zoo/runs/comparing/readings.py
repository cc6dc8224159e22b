"""Read what a run recorded of its samples' quality: while it trained, on held-out images, and by `zoo.evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import UserError
from zoo.io.files import read_json, read_jsonl
from zoo.io.run_folder import RunFolder
from zoo.runs.history import RunHistory

LOWER_IS_BETTER = {"FD": "fid", "FD-infinity": "fid_infinity", "KD": "kid", "FID": "fid", "KID": "kid"}
LOWER_IS_BETTER |= {"FID-infinity": "fid_infinity", "sFID": "sfid"}
LOWER_IS_BETTER |= {key: key for key in ("class_distance", "classes_missing", "kl", "mind", "mifid", "cmmd", "fld")}
LOWER_IS_BETTER |= {key: key for key in ("ms_ssim", "swd", *(f"swd_{16 << level}" for level in range(7)))}
"""Keys of metrics of this library of which a lower value is better, by the beginning of their labels. Only a table
without the records of `SampleMetrics` beside it needs them, since those say it of every number."""
HIGHER_IS_BETTER = (
    *("precision", "recall", "density", "coverage", "f8", "f1/8", "modes", "high_quality", "IS", "score"),
    *("clipped_density", "clipped_coverage", "vendi", "rke", "fld_gap", "authenticity", "ct"),
)
METRICS, FLOOR = "metrics/", "-floor"
OF_ONE_RUN = ("images_seen", "seed", "data", "checkpoint", "model", "interval", "no_interval", "training_time")
"""Entries of a protocol that may differ between runs whose numbers are pooled."""
TRAIN, TABLE = "train", "training log"
"""Where a number is from, if not from held-out images: the training images, or the columns of the losses."""


class Measurement(NamedTuple):
    """What was measured, on what and how: numbers are pooled where all of it is equal.

    Args:
        label: name of the number, such as "FD-digits".
        name: the label without the extractor, such as "FD".
        split: real images that it compares with.
        protocol: entries of the protocol, as texts.
    """

    label: str
    name: str
    split: str
    protocol: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reading:
    """One number of one run at one number of images seen.

    Args:
        label: name of the number, such as "FD-digits".
        name: the label without the extractor, such as "FD".
        value: the number.
        images_seen: images seen at the checkpoint.
        key: name of the metric's result, such as "fid".
        split: real images that it compares with: "train" or "held_out"; "training log" for a loss.
        low: lower end of the 95 % interval over samples; None where it was measured without one.
        high: upper end of the 95 % interval over samples.
        floor: the same number between two sets of real images; None where it is not recorded.
        higher_is_better: None where that is not known.
        protocol: what the number depends on, without what is of one run only.
    """

    label: str
    name: str
    value: float
    images_seen: int
    key: str
    split: str
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    higher_is_better: bool | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measurement(self) -> Measurement:
        """What was measured, on what and how."""
        protocol = tuple(sorted((key, str(value)) for key, value in self.protocol.items()))
        return Measurement(self.label, self.name, self.split, protocol)


@dataclass(frozen=True)
class Record:
    """All numbers of one run.

    Args:
        curves: numbers that were measured while it trained, oldest first.
        at: numbers at the checkpoint "best", "last" or "given"; the last is that of a file of numbers.
        images_seen: images seen at the last of them.
    """

    curves: Sequence[Reading] = ()
    at: Mapping[str, Sequence[Reading]] = field(default_factory=dict)
    images_seen: int = 0

    @property
    def measured(self) -> list[Reading]:
        """The numbers at all checkpoints."""
        return [reading for readings in self.at.values() for reading in readings]


def read_record(history: RunHistory) -> Record:
    """Read all numbers of a run.

    The best checkpoint is the one that `SampleMetrics` selected, on training images. Where only the table of metrics is
    left, it is the row with the best value of the selecting metric.

    Args:
        history: records of the run.

    Raises:
        UserError: for a file of numbers that are not as this library writes them.
    """
    files = RunFolder(history.folder)
    curves, bests = list[Reading](), list[int]()
    for path in files.measured_in_training():
        with _damage_named(path):
            rows = read_jsonl(path)
            curves += [reading for row in rows for reading in _of_numbers(row.get("numbers", []))]
            bests += [int(row["images_seen"]) for row in rows if row.get("best_so_far")]
    best_at = max(bests, default=None)
    known = {reading.label.replace("/", "_") for reading in curves}
    curves += _of_table(history, known)
    best_at = _best_of_table(history, curves) if best_at is None else best_at
    last_at = max([history.images_seen, *(reading.images_seen for reading in curves)])
    newest = {last_at, *(int(path.stem) for path in files.checkpoints()[:1] if path.stem.isdecimal())}
    best, last = _at(curves, best_at), _at(curves, last_at)
    for path in files.held_out_report_paths():
        with _damage_named(path):
            report = read_json(path) or {}
            best += _of_numbers(report.get("best", {}).get("numbers", []))
            last += _of_numbers(report.get("last", {}).get("numbers", []))
    for reading in (reading for path in files.all_evaluations() for reading in read_evaluation(path)):
        best += [reading] if reading.images_seen == best_at else []
        last += [reading] if reading.images_seen in newest else []
    at = {"best": _with_intervals_first(best), "last": _with_intervals_first(last)}
    return Record(curves, at, last_at)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Name the file whose numbers are read in the block, if they are not as this library writes them.

    Raises:
        UserError: if they are not.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path} has numbers that cannot be read (damaged, or written by another version). Move the file away to "
            "go without them"
        ) from error


def read_evaluation(path: Path) -> list[Reading]:
    """Read the numbers of a file that `python -m zoo.evaluate` wrote.

    Raises:
        UserError: if it is none.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return [reading for row in rows for reading in _of_numbers(row["numbers"])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} holds no numbers of `python -m zoo.evaluate`. Give run folders, folders of groups, or such files"
        ) from error


def _of_numbers(numbers: Iterable[Mapping[str, Any]]) -> list[Reading]:
    """Return the finite ones of numbers as `Number.as_dict` writes them."""
    readings = []
    for number in numbers:
        protocol = number["protocol"]
        if number["value"] is None:
            continue
        kept = {key: value for key, value in protocol.items() if key not in OF_ONE_RUN and value is not None}
        readings.append(
            Reading(
                number["label"],
                number["label"].removesuffix(f"-{kept.get('extractor')}"),
                float(number["value"]),
                int(protocol.get("images_seen", 0)),
                number["key"],
                str(kept.pop("split", "")),
                number["low"],
                number["high"],
                number["floor"],
                bool(number["higher_is_better"]),
                kept,
            )
        )
    return readings


def _of_table(history: RunHistory, known: set[str]) -> list[Reading]:
    """Return the numbers of `metrics.csv` that have no better record: metrics, losses and all else that was logged."""
    settings = metric_settings(history)
    protocol = {key: settings[key] for key in ("n", "extractor", "options") if settings.get(key) not in (None, "")}
    readings: list[Reading] = []
    for column, (seen, values) in history.metrics.items():
        label = column.removeprefix(METRICS)
        is_metric = column.startswith(METRICS)
        if is_metric and (label in known or label.endswith(FLOOR)):
            continue
        name, key, better = _direction(label) if is_metric else (label, label, None)
        extractor = {"extractor": label.removeprefix(f"{name}-")} if name != label else {}
        readings += [
            Reading(
                label,
                name,
                value,
                int(images),
                key,
                TRAIN if is_metric else TABLE,
                higher_is_better=better,
                protocol=protocol | extractor if is_metric else {},
            )
            for images, value in zip(seen, values)
            if isfinite(value)
        ]
    return readings


def _direction(label: str) -> tuple[str, str, bool | None]:
    """Return name and key of a metric and whether a higher value is better, from its label; None if not known."""
    for name in sorted((*LOWER_IS_BETTER, *HIGHER_IS_BETTER), key=len, reverse=True):
        if label == name or label.startswith(f"{name}-"):
            return name, LOWER_IS_BETTER.get(name, name), name not in LOWER_IS_BETTER
    return label, label, None


def _best_of_table(history: RunHistory, curves: Sequence[Reading]) -> int | None:
    """Return the images seen at the best value of the selecting metric; None if it was not measured."""
    select = metric_settings(history).get("select", "fid")
    rows = [reading for reading in curves if reading.key == select and reading.higher_is_better is not None]
    if not rows:
        return None
    sign = -1 if rows[0].higher_is_better else 1
    return min(rows, key=lambda reading: sign * reading.value).images_seen


def metric_settings(history: RunHistory) -> dict[str, Any]:
    """Return the settings of the run's callback `SampleMetrics`; none if it has no such callback."""
    callbacks: dict[str, Any] = history.recipe["callbacks"] or {}
    found = [part for name, part in callbacks.items() if part and part.get("class", name) == "SampleMetrics"]
    return dict(found[0]) if found else {}


def _at(curves: Sequence[Reading], images_seen: int | None) -> list[Reading]:
    """Return the number of each curve at a number of images seen, or the last one before it."""
    if images_seen is None:
        return []
    found = {reading.measurement: reading for reading in curves if reading.images_seen <= images_seen}
    return list(found.values())


def _with_intervals_first(readings: Sequence[Reading]) -> list[Reading]:
    """Return one reading of each measurement: one that has an interval, if there is any."""
    found: dict[Any, Reading] = {}
    for reading in readings:
        if reading.measurement not in found or found[reading.measurement].low is None:
            found[reading.measurement] = reading
    return list(found.values())
