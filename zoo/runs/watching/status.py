"""How far a run is: whether it trains, its progress, its speed and the time that is left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Any

from zoo.io.claims import holder
from zoo.io.files import read_json
from zoo.io.run_folder import RunFolder
from zoo.runs.history import RunHistory

FRESH = 60.0
"""Age in seconds up to which a record of the progress says how fast the run is now; measuring samples takes longer."""
TRAINING, FINISHED, STOPPED, GONE = "training", "finished", "stopped early", "not running"


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Args:
        state: "training", "finished", "stopped early" or "not running": killed, or never begun.
        progress: images that count towards the length of the run.
        images: length of the run, in images.
        images_per_second: speed, now or of the last start; None where it is not known.
        seconds_left: time left; None where it is not known.
        seen_with_undone: images seen where a rollback undid some of them, which do not count; 0 without a rollback.
    """

    state: str
    progress: int
    images: int
    images_per_second: float | None = None
    seconds_left: float | None = None
    seen_with_undone: int = 0

    @property
    def share(self) -> float:
        """The part of the run that is done, from 0 to 1."""
        return min(1.0, self.progress / max(self.images, 1))

    @property
    def facts(self) -> list[str]:
        """The status as short texts."""
        facts = [f"{self.progress:,} of {self.images:,} images ({self.share:.0%})"]
        if self.images_per_second:
            rate = self.images_per_second
            when = "" if self.state == TRAINING else " on average"
            facts.append(f"{rate:,.0f} images/s{when}" if rate >= 10 else f"{rate:.2g} images/s{when}")
        if self.seconds_left is not None and self.state == TRAINING:
            facts.append(f"{duration(self.seconds_left)} left")
        if self.seen_with_undone:
            facts.append(
                f"{self.seen_with_undone:,} images seen, including those of rounds that a rollback undid, which do not "
                "count"
            )
        return facts


def status_of(run: RunHistory, now: float | None = None) -> Status:
    """Return how far a run is.

    Args:
        run: its records.
        now: time in seconds since 1970; None for the clock's.
    """
    files = RunFolder(run.folder)
    record, images = _progress(files), int(run.recipe["images"])
    undone = any(str(event.get("action", "")).startswith("rollback") for event in run.events)
    seen = run.images_seen
    whole = seen if undone else 0
    if record and int(record["images_seen"]) >= seen:
        progress = int(record["progress"])
    else:  # of a rollback, only the record knows how many images do not count
        progress = min(seen, images) if undone else seen
    if not run.ended:
        state = TRAINING if holder(run.folder) else GONE
        fresh = record and (time.time() if now is None else now) - float(record["written"]) < FRESH
        if state == TRAINING and fresh:
            return Status(state, progress, images, record["images_per_second"], record["seconds_left"], whole)
        return Status(state, progress, images, seen_with_undone=whole)
    end, starts = files.ends()[-1], files.starts()
    if end.get("complete"):
        progress = max(progress, images)
    elif not undone:  # the last row of the log may be from before the end
        progress = max(progress, int(end["images_seen"]))
    from_before = _start_of(starts[-1]) if starts else 0
    rate = (int(end["images_seen"]) - from_before) / end["seconds"] if end["seconds"] else 0.0
    state = FINISHED if progress >= images else STOPPED
    return Status(state, min(progress, images), images, max(rate, 0.0) or None, None, whole)


def duration(seconds: float) -> str:
    """Return a duration in words of at most two units, such as "2 h 5 min"."""
    left = timedelta(seconds=round(max(seconds, 0.0)))
    minutes, rest = divmod(left.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(left.days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or unit == "s")


def _progress(files: RunFolder) -> dict[str, Any]:
    """Return the record of the progress; empty if there is none, or it is not what this version writes."""
    record = read_json(files.progress) or {}
    names = ("images_seen", "progress", "images_per_second", "seconds_left", "written")
    numbers = [record.get(name) for name in names]
    whole = all(isinstance(each, int | float) and isfinite(each) for each in numbers)
    return record if whole else {}


def _start_of(start: dict[str, Any]) -> int:
    """Return the images seen at a start, by the name of the checkpoint that it resumed from."""
    stem = str(start.get("resumed_from") or "").partition(".")[0]
    return int(stem) if stem.isdecimal() else 0
