"""The comparison: numbers pooled over seeds, differences between groups, curves, and notes for their reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from zoo.errors import UserError, did_you_mean
from zoo.runs.comparing.grouping import RunGroup
from zoo.runs.comparing.readings import TABLE, Measurement, Reading
from zoo.runs.comparing.statistics import Spread, spread_of, welch_interval

CHECKPOINTS = ("best", "last", "given")
SPLITS = {"train": "on training images", "held_out": "on held-out images", TABLE: "as logged", "": ""}
COUNTS = {"n_fake": "generated", "n": "generated", "n_real": "real"}
"""Entries of a protocol that the title of a table shows, with what they count."""
SHOWN_IN_TITLE = ("truncation", "truncation_by", "component")


@dataclass(frozen=True)
class Row:
    """One number of one group at one checkpoint, pooled over its seeds.

    Args:
        group: name of the group.
        checkpoint: "best", "last" or "given".
        seeds: seeds of the runs, None for a file that belongs to no run.
        values: the values, in the order of the seeds.
        images_seen: images seen at each checkpoint.
        spread: mean and deviation over seeds.
        sampling: mean over runs of half the width of a single run's 95 % interval over samples; None without any.
        sampling_n: number of runs that have such an interval.
        floor: mean of the number between two sets of real images; None where it is not recorded.
    """

    group: str
    checkpoint: str
    seeds: list[int | None]
    values: list[float]
    images_seen: list[int]
    spread: Spread
    sampling: float | None
    sampling_n: int
    floor: float | None


@dataclass(frozen=True)
class Difference:
    """The difference of two groups in one number at one checkpoint.

    Args:
        group: the group.
        baseline: the group it is compared with.
        checkpoint: "best", "last" or "given".
        value: mean of the group less that of the baseline.
        low: lower end of the 95 % Welch interval; None if one of them has a single seed.
        high: upper end of it.
        verdict: what follows, in words.
    """

    group: str
    baseline: str
    checkpoint: str
    value: float
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class PooledCurve:
    """A number over images seen, pooled over the seeds of a group where all of its runs were measured.

    Args:
        group: name of the group.
        images_seen: numbers of images.
        mean: mean over seeds at each.
        deviation: standard deviation over seeds at each; empty for one seed.
        n: number of seeds.
    """

    group: str
    images_seen: list[int]
    mean: list[float]
    deviation: list[float]
    n: int


@dataclass(frozen=True)
class Table:
    """One number, measured in one way, of all groups that have it.

    Args:
        label: name of the number, such as "FD-digits".
        split: real images that it compares with.
        higher_is_better: None where that is not known.
        protocol: how it was measured.
        rows: the groups at their best and last checkpoints.
        differences: each group against the first.
        curves: the number while the runs trained.
        details: what distinguishes the table from others of the same number, such as "truncation 0.7".
    """

    label: str
    split: str
    higher_is_better: bool | None
    protocol: Mapping[str, Any]
    rows: list[Row]
    differences: list[Difference]
    curves: list[PooledCurve]
    details: str = ""

    @property
    def title(self) -> str:
        """The number, what it compares with, and which direction is better."""
        counts = [f"{self.protocol[key]:,} {what}" for key, what in COUNTS.items() if key in self.protocol]
        better = {True: "higher is better", False: "lower is better", None: ""}[self.higher_is_better]
        about = ", ".join(part for part in (" against ".join(counts), self.details, better) if part)
        where = SPLITS.get(self.split, f"on {self.split}")
        return f"{self.label} {where}".strip() + (f" ({about})" if about else "")


@dataclass(frozen=True)
class Comparison:
    """The comparison of groups of runs.

    Args:
        groups: the groups.
        tables: one for each number and way of measuring it.
        notes: what a reader has to know beside the numbers.
    """

    groups: Sequence[RunGroup]
    tables: Sequence[Table]
    notes: Sequence[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        groups = [
            {
                "name": group.name,
                "recipe": group.runs[0].recipe,
                "runs": [
                    {
                        "path": str(run.path),
                        "seed": run.seed,
                        "images": run.images,
                        "images_seen": run.record.images_seen,
                    }
                    for run in group.runs
                ],
            }
            for group in self.groups
        ]
        tables = [{"title": table.title, **asdict(table)} for table in self.tables]
        return {"groups": groups, "tables": tables, "notes": list(self.notes)}


def compare_groups(groups: Sequence[RunGroup], metric: Sequence[str] = (), notes: Sequence[str] = ()) -> Comparison:
    """Pool the numbers of each group over its seeds, and compare the groups with the first.

    Args:
        groups: the groups.
        metric: names of numbers, such as "fd", "recall-digits" or "d/adversarial"; without any, all metrics.
        notes: notes of reading and grouping.

    Raises:
        UserError: for a name that no run recorded, or runs without any metric.
    """
    wanted = _wanted(groups, metric)
    tables = [_table(groups, measurement, _details(measurement, wanted)) for measurement in wanted]
    said = [*_notes_on_runs(groups, tables, set(wanted)), *_notes_on_protocols(groups, wanted)]
    return Comparison(groups, tables, [*notes, *said])


def _wanted(groups: Sequence[RunGroup], metric: Sequence[str]) -> list[Measurement]:
    """Return the measurements of the named numbers, those of one number behind each other."""
    readings = [reading for group in groups for run in group.runs for reading in run.record.measured]
    for name in metric:
        if not any(_is_named(reading, name) for reading in readings):
            known = sorted({reading.label for reading in readings})
            hint = did_you_mean(name, known) or f" There are {', '.join(known[:12])} ..."
            raise UserError(f"metric: no run recorded {name!r}.{hint}")
    chosen = [
        reading.measurement
        for reading in readings
        if (any(_is_named(reading, name) for name in metric) if metric else reading.split != TABLE)
    ]
    if not chosen:
        raise UserError(
            "these runs recorded no metrics. Measure them with python -m zoo.evaluate checkpoint=RUN, train with the "
            "callback SampleMetrics, or name a logged term, such as metric=d/adversarial"
        )
    families = list(dict.fromkeys((each.name, each.split) for each in chosen))
    return sorted(dict.fromkeys(chosen), key=lambda each: families.index((each.name, each.split)))


def _is_named(reading: Reading, name: str) -> bool:
    """Return whether a name stands for a number: its key, its label, or the label without the extractor."""
    return name.lower() in (reading.key.lower(), reading.label.lower(), reading.name.lower())


def _details(measurement: Measurement, wanted: Sequence[Measurement]) -> str:
    """Return truncation and generator of a measurement, and how it differs from others of the same number."""
    protocol = dict(measurement.protocol)
    others = [dict(other.protocol) for other in wanted if other[:3] == measurement[:3]]
    different = [key for key in protocol if len({other.get(key) for other in others}) > 1 and key not in COUNTS]
    keys = dict.fromkeys([*(key for key in SHOWN_IN_TITLE if key in protocol), *different])
    return ", ".join(f"{key} {protocol[key][:40]}" for key in keys)


def _table(groups: Sequence[RunGroup], measurement: Measurement, details: str) -> Table:
    """Pool one measurement, and compare the groups that have it."""
    rows = [row for group in groups for checkpoint in CHECKPOINTS for row in _row(group, checkpoint, measurement)]
    first = next(r for g in groups for run in g.runs for r in run.record.measured if r.measurement == measurement)
    curves = [curve for group in groups for curve in _curve(group, measurement)]
    differences = _differences(rows, first.higher_is_better)
    protocol = dict(first.protocol)
    return Table(first.label, first.split, first.higher_is_better, protocol, rows, differences, curves, details)


def _row(group: RunGroup, checkpoint: str, measurement: Measurement) -> list[Row]:
    """Return the row of a group at a checkpoint; none if no run of it has the number."""
    found = [
        (run, reading)
        for run in group.runs
        for reading in run.record.at.get(checkpoint, ())
        if reading.measurement == measurement
    ]
    if not found:
        return []
    readings = [reading for _, reading in found]
    halves = [(r.high - r.low) / 2 for r in readings if r.low is not None and r.high is not None]
    floors = [reading.floor for reading in readings if reading.floor is not None]
    values = [reading.value for reading in readings]
    return [
        Row(
            group.name,
            checkpoint,
            [run.seed for run, _ in found],
            values,
            [reading.images_seen for reading in readings],
            spread_of(values),
            float(np.mean(halves)) if halves else None,
            len(halves),
            float(np.mean(floors)) if floors else None,
        )
    ]


def _differences(rows: Sequence[Row], higher_is_better: bool | None) -> list[Difference]:
    """Compare each group with the first one that has the number, at the same checkpoint."""
    found = []
    for checkpoint in CHECKPOINTS:
        here = [row for row in rows if row.checkpoint == checkpoint]
        for row in here[1:]:
            interval = welch_interval(here[0].values, row.values)
            value = row.spread.mean - here[0].spread.mean
            verdict = _verdict(value, interval, here[0].spread.n, row.spread.n, higher_is_better)
            low, high = interval or (None, None)
            found.append(Difference(row.group, here[0].group, checkpoint, value, low, high, verdict))
    return found


def _verdict(
    value: float, interval: tuple[float, float] | None, n_first: int, n_second: int, higher_is_better: bool | None
) -> str:
    """Return in words what a difference and its interval say."""
    if interval is None:
        return "one seed: no deviation over training seeds, so nothing tells the two apart"
    seeds = f"{n_first}" if n_first == n_second else f"{n_first} and {n_second}"
    if interval[0] <= 0 <= interval[1]:
        return f"not told apart by {seeds} seeds"
    word = "higher" if value > 0 else "lower"
    better = "" if higher_is_better is None else ", better" if (value > 0) == higher_is_better else ", worse"
    return f"{word}{better} (told apart by {seeds} seeds)"


def _curve(group: RunGroup, measurement: Measurement) -> list[PooledCurve]:
    """Return the curve of a group where all of its runs were measured; none for fewer than two such points."""
    curves = [{r.images_seen: r.value for r in run.record.curves if r.measurement == measurement} for run in group.runs]
    curves = [curve for curve in curves if curve]
    seen = sorted(set.intersection(*map(set, curves))) if curves else []
    if len(seen) < 2:
        return []
    values = np.array([[curve[images] for images in seen] for curve in curves])
    deviation = values.std(0, ddof=1).tolist() if len(curves) > 1 else []
    return [PooledCurve(group.name, seen, values.mean(0).tolist(), deviation, len(curves))]


def _notes_on_runs(groups: Sequence[RunGroup], tables: Sequence[Table], wanted: Set[Measurement]) -> list[str]:
    """Return notes about single seeds, runs that are left out or ended early, missing intervals, many comparisons."""
    notes = []
    single = {row.group for table in tables for row in table.rows if row.spread.n == 1}
    if single:
        listed = "; ".join(group.name for group in groups if group.name in single)
        notes.append(f"one seed: no deviation over training seeds. {listed}")
    for run in (run for group in groups for run in group.runs):
        if not any(reading.measurement in wanted for reading in run.record.measured):
            notes.append(f"{run.path} recorded none of these numbers and is left out")
        elif run.record.images_seen < run.images:
            notes.append(
                f"{run.path} has seen {run.record.images_seen:,} of its {run.images:,} images; its last checkpoint is "
                "pooled as it is"
            )
    if any(row.sampling is None for table in tables for row in table.rows if table.split != TABLE):
        notes.append(
            "where there is no sampling interval, the runs were measured without one; python -m zoo.evaluate "
            "checkpoint=RUN measures held-out images with one"
        )
    if (count := sum(d.low is not None for table in tables for d in table.differences)) > 1:
        notes.append(f"{count} differences: one of 20 intervals of 95 % excludes 0 by chance, on average")
    return notes


def _notes_on_protocols(groups: Sequence[RunGroup], wanted: Sequence[Measurement]) -> list[str]:
    """Return a note for each number that some runs measured in one way and the other runs in another."""
    notes = []
    families: dict[tuple[str, str], list[Measurement]] = {}
    for measurement in wanted:
        families.setdefault((measurement.name, measurement.split), []).append(measurement)
    for (name, split), ways in families.items():
        sets = {way: _measured_by(groups, way) for way in ways}
        for way in ways[1:]:
            if set(sets[way]) == set(sets[ways[0]]):
                continue
            one, other = dict(ways[0].protocol), dict(way.protocol)
            key = next(key for key in sorted({**one, **other}, key=_rank) if one.get(key) != other.get(key))
            notes.append(
                f"{name} {SPLITS.get(split, split)} is neither pooled nor compared between {_listed(sets[ways[0]])} "
                f"and {_listed(sets[way])}: {key} is {one.get(key, 'not recorded')} and "
                f"{other.get(key, 'not recorded')}"
            )
    return notes


def _rank(key: str) -> tuple[int, str]:
    """Return the order in which entries of a protocol are named."""
    order = ("extractor", "weights", "n_fake", "n_real", "n", "data_digest")
    return (order.index(key) if key in order else len(order)), key


def _measured_by(groups: Sequence[RunGroup], way: Measurement) -> list[str]:
    """Return the paths of the runs that have a measurement."""
    return [str(run.path) for g in groups for run in g.runs if any(r.measurement == way for r in run.record.measured)]


def _listed(paths: Sequence[str]) -> str:
    """Return paths in a sentence, the first two of many."""
    return ", ".join(paths) if len(paths) < 4 else f"{paths[0]}, {paths[1]} and {len(paths) - 2} more"
