"""Callback that says in a line how good the images are, after each measurement of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from zoo.callbacks import SampleMetrics
from zoo.errors import UserError
from zoo.runs.history import read_run
from zoo.runs.verdict.lines import line_of
from zoo.runs.verdict.verdict import verdict_of


class SayVerdict(Callback):
    """A callback that prints the verdict on the run when `SampleMetrics` has measured, on rank 0.

    It reads the records of the run, not its tensors, so training does not wait for the device.
    """

    def __init__(self) -> None:
        self._metrics: list[SampleMetrics] = []
        self._said = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the measurements that a resumed run has already."""
        callbacks: list[Any] = getattr(trainer, "callbacks", [])
        self._metrics = [each for each in callbacks if isinstance(each, SampleMetrics)]
        self._said = self._count()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Print the verdict if there is a new measurement."""
        if self._count() == self._said or not trainer.is_global_zero:
            return
        self._said = self._count()
        try:
            print(line_of(verdict_of(read_run(Path(trainer.default_root_dir)))), flush=True)
        except (UserError, OSError):  # records that could not be written, as on a full disk, which is said elsewhere
            return

    def _count(self) -> int:
        return sum(each.measurements for each in self._metrics)
