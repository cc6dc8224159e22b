"""Files of the alarms in the run folder: the events, and the signals over time in a file of bounded size."""

from __future__ import annotations

import json
import math
from typing import Any

from zoo.io.files import append_jsonl, atomic_write, read_jsonl
from zoo.io.room import spared
from zoo.io.run_folder import RunFolder

ROWS = 600
"""Number of rows of signals above which every second one is dropped."""
COLUMNS = {"events": {"images_seen"}, "signals": {"images_seen", "round", "reading", "stride", "kind", "values"}}
"""Entries of each row that this version reads; a row without one of them was damaged."""
Row = dict[str, Any]


class Records:
    """Writer of the files of events and of signals in a run folder.

    A resumed run removes the rows that the interrupted one wrote after the checkpoint.

    Args:
        folder: the run folder.
        images_seen: images seen at the start or resume; 0 for a new run.
    """

    def __init__(self, folder: RunFolder, images_seen: int) -> None:
        self._paths = {"events": folder.events, "signals": folder.signals}
        self._incomplete: set[str] = set()  # files whose last write failed, for instance on a full disk
        self.events = self._rows_until("events", images_seen)
        self._rows = self._rows_until("signals", images_seen)
        self._stride = int(self._rows[-1]["stride"]) if self._rows else 1
        self._written = 0
        for name, rows in (("events", self.events), ("signals", self._rows)):
            if rows or self._paths[name].exists():
                self._rewrite(name, rows)
        self._written = len(self._rows)

    def event(self, event: Row) -> None:
        """Write an event immediately."""
        self.events.append(event)
        self._append("events", [event])
        self.flush()

    def signals(self, images_seen: int, rounds: int, reading: int, values: dict[str, float], kind: str) -> None:
        """Add a row of signals; it is written by the next `flush`.

        Args:
            images_seen: images seen at the reading.
            rounds: round of the reading.
            reading: number of the quick reading since the start of the run.
            values: signals by name.
            kind: kind of the reading: `quick`, `full`, or `alarm`, which is never dropped.
        """
        if kind == "quick" and reading % self._stride:
            return
        short = {name: rounded(value) for name, value in values.items()}
        row = {"images_seen": images_seen, "round": rounds, "reading": reading, "stride": self._stride, "kind": kind}
        self._rows.append({**row, "values": short})
        if len(self._rows) > ROWS:
            self._thin_out()
        elif kind != "quick" or not self._written:  # the first row at once, so that the page of the run shows signals
            self.flush()

    def _thin_out(self) -> None:
        """Drop every second quick row and every second full row, and rewrite the file."""
        self._stride *= 2
        full_rounds = [row["round"] for row in self._rows if row["kind"] == "full"]
        kept_rounds = set(full_rounds[::2]) | {
            row["round"]
            for row in self._rows
            if row["kind"] == "alarm" or (row["kind"] == "quick" and row["reading"] % self._stride == 0)
        }
        self._rows = [{**row, "stride": self._stride} for row in self._rows if row["round"] in kept_rounds]
        self._rewrite("signals", self._rows)
        self._written = len(self._rows)

    def flush(self) -> None:
        """Write the rows of signals that have not been written yet."""
        if len(self._rows) > self._written:
            self._append("signals", self._rows[self._written :])
            self._written = len(self._rows)

    def _rows_until(self, name: str, images_seen: int) -> list[Row]:
        rows = read_jsonl(self._paths[name], say=True) if images_seen else []
        whole = [row for row in rows if COLUMNS[name] <= row.keys() and isinstance(row["images_seen"], int)]
        return [row for row in whole if row["images_seen"] <= images_seen]

    def _append(self, name: str, rows: list[Row]) -> None:
        """Append rows to a file; after a failed write, all of its rows are written anew."""
        if name in self._incomplete:
            self._rewrite(name, self.events if name == "events" else self._rows)
            return
        self._incomplete.add(name)
        with spared(f"{name} of the alarms", self._paths[name]):
            append_jsonl(self._paths[name], rows)
            self._incomplete.discard(name)

    def _rewrite(self, name: str, rows: list[Row]) -> None:
        self._incomplete.add(name)
        with spared(f"{name} of the alarms", self._paths[name]):
            with atomic_write(self._paths[name]) as scratch:
                scratch.write_text("".join(json.dumps(row) + "\n" for row in rows))
            self._incomplete.discard(name)


def rounded(value: float) -> float | str:
    """Round to five significant digits; values that are not finite become text, since JSON has no such numbers."""
    return float(f"{value:.5g}") if math.isfinite(value) else str(value)
