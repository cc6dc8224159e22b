"""What the records of a run say about its quality: the input of the verdict, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.config.wrapping import member_section
from zoo.errors import UserError, first_line
from zoo.io.claims import holder
from zoo.io.files import read_json
from zoo.io.run_folder import RunFolder
from zoo.runs.comparing.readings import FLOOR, METRICS, TABLE, TRAIN, Reading, Record, metric_settings, read_record
from zoo.runs.history import RunHistory


@dataclass(frozen=True)
class Evidence:
    """What is known about the quality of a run.

    Args:
        images_seen: images seen at the newest record.
        images: length of the run, in images.
        ended: whether the last start of the run has ended.
        curve: the number that selects the best checkpoint, measured on training images while the run trained.
        latest: all numbers of the newest measurement on training images, by key.
        held_out: the newest numbers on held-out images, by key.
        has_alarms: whether the recipe has the callback `Alarms`.
        events: the alarms that were raised, oldest first.
        signals: the last value of each signal of the alarms.
        readings: number of readings of the alarms that are recorded.
        audit: the report of `python -m zoo.audit` in the run folder; None without one.
        model: settings of the model.
        trains: whether a process trains the run now.
        measured_every: interval of `SampleMetrics` in images; 0 if the recipe has no such callback.
        unreadable: why the measurements cannot be read; empty if they can.
    """

    images_seen: int
    images: int
    ended: bool
    curve: Sequence[Reading] = ()
    latest: Mapping[str, Reading] = field(default_factory=dict)
    held_out: Mapping[str, Reading] = field(default_factory=dict)
    has_alarms: bool = False
    events: Sequence[Mapping[str, Any]] = ()
    signals: Mapping[str, float] = field(default_factory=dict)
    readings: int = 0
    audit: Mapping[str, Any] | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = False
    measured_every: int = 0
    unreadable: str = ""

    @property
    def member(self) -> tuple[str, Mapping[str, Any]]:
        """Where the settings of a single GAN are, and these: those of the base where the model is a mixture."""
        keys, settings = member_section(self.model)
        return ".".join(keys), settings

    @property
    def first_measurement(self) -> int:
        """Images seen at the first measurement, which is still to come; 0 if none is."""
        is_to_come = not self.ended and not self.curve and self.images_seen < self.images
        return min(self.measured_every, self.images) if is_to_come else 0


def read_evidence(run: RunHistory) -> Evidence:
    """Read what the records of a run say about its quality."""
    try:
        record, unreadable = read_record(run), ""
    except UserError as error:
        record, unreadable = Record(images_seen=run.images_seen), first_line(error)
    measured = [_with_floor(reading, run) for reading in record.curves if reading.split == TRAIN]
    curve = _main_curve(measured, str(metric_settings(run).get("select") or "fid"))
    extractor = curve[-1].protocol.get("extractor") if curve else None
    same = [reading for reading in measured if reading.protocol.get("extractor") == extractor]
    held_out = [r for readings in record.at.values() for r in readings if r.split not in (TRAIN, TABLE)]
    held_out.sort(key=lambda r: (r.protocol.get("extractor") == extractor, r.images_seen))
    ends = RunFolder(run.folder).ends() if run.ended else []
    return Evidence(
        max([record.images_seen, *(int(end["images_seen"]) for end in ends[-1:])]),
        int(run.recipe["images"]),
        run.ended,
        curve,
        {reading.key: reading for reading in same},
        {reading.key: reading for reading in held_out},
        has_alarms(run),
        run.events,
        {name: values[-1] for name, (_, values) in run.signals.items() if values},
        max((len(seen) for seen, _ in run.signals.values()), default=0),
        read_json(RunFolder(run.folder).audit_report) or None,
        dict(run.recipe["model"]),
        not run.ended and bool(holder(run.folder)),
        int(metric_settings(run).get("every") or 0),
        unreadable,
    )


def has_alarms(run: RunHistory) -> bool:
    """Check whether the recipe of a run has the callback `Alarms`."""
    callbacks: dict[str, Any] = run.recipe["callbacks"] or {}
    return any(part and part.get("class", name) == "Alarms" for name, part in callbacks.items())


def _main_curve(measured: Sequence[Reading], select: str) -> list[Reading]:
    """Return the selecting number over images seen: that of the first extractor; another number where it is missing."""
    known = [reading for reading in measured if reading.higher_is_better is not None]
    first = next((r for r in known if r.key == select), known[0] if known else None)
    found = {r.images_seen: r for r in known if first is not None and r.label == first.label}
    return [found[images] for images in sorted(found)]


def _with_floor(reading: Reading, run: RunHistory) -> Reading:
    """Return a reading with the value of real images that the table of metrics has, where it has none itself."""
    column = f"{METRICS}{reading.label}{FLOOR}"
    if reading.floor is not None or column not in run.metrics:
        return reading
    return replace(reading, floor=run.metrics[column][1][-1])
