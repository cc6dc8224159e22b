"""Logger that writes all numbers of a run to one CSV file, also across resumes."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger

from zoo.io.files import atomic_write, read_table
from zoo.io.room import spared
from zoo.io.run_folder import STEP, RunFolder


class MetricsTable(Logger):
    """Logger of `metrics.csv`: one row for each value of `images_seen` (the first column), one column for each number.

    Lightning's CSVLogger deletes the file of a run that is resumed. This one continues it, without the rows that the
    interrupted run wrote after the checkpoint.

    Args:
        folder: the run folder.
        resumed_at: images seen by the checkpoint that the run resumes from; 0 starts a new table.
    """

    def __init__(self, folder: str | Path, resumed_at: int = 0) -> None:
        super().__init__()
        self.path = RunFolder(Path(folder)).metrics_table
        self._rows: list[dict[str, Any]] = []
        self._columns = [STEP]
        if resumed_at:
            columns, rows = read_table(self.path, STEP, say=True)
            self._rows = [dict(row) for row in rows if int(row[STEP]) <= resumed_at]
            self._columns = columns or [STEP]
        self._rewrite = True

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "metrics"

    @property
    def version(self) -> str:
        """Version of the logger, empty: each run folder has one table."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row, or update the last row if it has the same `images_seen`; a new name adds a column.

        Args:
            metrics: numbers by name.
            step: images seen.
        """
        row = {STEP: step or 0, **{key: float(value) for key, value in metrics.items()}}
        new = [key for key in row if key not in self._columns]
        self._columns += new
        updates_last = bool(self._rows) and int(self._rows[-1][STEP]) == row[STEP]
        if updates_last:  # for instance metrics of a callback after losses of the loop
            self._rows[-1].update(row)
        else:
            self._rows.append(row)
        rewrite, self._rewrite = new or updates_last or self._rewrite, True  # after a failed write, all is written anew
        with spared("the table of metrics", self.path):
            if rewrite:
                self._write_all()
            else:
                with open(self.path, "a", newline="") as file:
                    csv.DictWriter(file, self._columns).writerow(row)
            self._rewrite = False

    def _write_all(self) -> None:
        with atomic_write(self.path) as scratch, open(scratch, "w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self._rows)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing, since the run folder contains the recipe."""
