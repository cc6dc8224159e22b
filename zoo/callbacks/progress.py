"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from zoo.callbacks.cost import note_on_cost
from zoo.callbacks.samples import SampleGrid
from zoo.callbacks.speed import RecentSpeed
from zoo.gan import GAN
from zoo.io.files import atomic_write
from zoo.io.run_folder import RunFolder
from zoo.training.stages import Stage, seconds_left, stages_of

REFRESH_SECONDS = 0.25
RECORD_SECONDS = 5.0
"""Seconds between two records of the progress in the run folder, for its page."""


class RunProgress(ProgressBar):
    """Progress display: images of the total, recent images per second, latest losses, time left, next picture.

    It shows only losses that the training loop has logged already, so it never waits for the device. The time left is
    that of the rounds; the speed is that of the last half minute, without pauses (`RecentSpeed`). For a network that
    grows, the time of later stages is known if `stages` has their costs.

    Args:
        images: length of the run, in images.
        line_seconds: time between two lines, in seconds, if there is no terminal.

    Attributes:
        stages: the stages of the run; those of the model if none are set before training starts.
    """

    def __init__(self, images: int, line_seconds: float = 10.0) -> None:
        super().__init__()
        self.images, self.line_seconds = images, line_seconds
        self.stages: Sequence[Stage] = ()
        self._own_stages = False  # whether they are those of the model
        self._live: Progress | None = None
        self._shown_at = self._recorded_at = 0.0
        self._speed = RecentSpeed()
        self._pictures: list[SampleGrid] = []
        self._enabled = True

    def disable(self) -> None:
        """Disable the display; Lightning calls this on all ranks but 0."""
        self._enabled = False

    def enable(self) -> None:
        """Enable the display."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn of a run of many days, and start the clock of the display."""
        assert isinstance(pl_module, GAN)
        if self._enabled and (note := note_on_cost(pl_module, self.images - pl_module.progress)):
            print(note, flush=True)
        if not self.stages or self._own_stages:  # an earlier fit may have had another model
            self.stages, self._own_stages = stages_of(pl_module.data_resolution, self.images), True
        self._pictures = [callback for callback in trainer.callbacks if isinstance(callback, SampleGrid)]  # type: ignore[attr-defined]
        self._shown_at = time.monotonic()
        self._speed = RecentSpeed()
        if self._enabled and sys.stdout.isatty():
            columns = (BarColumn(), TextColumn("{task.fields[line]}"))
            self._live = Progress(*columns, console=Console(), auto_refresh=False)
            self._task = self._live.add_task("", total=self.images, completed=pl_module.progress, line="")
            self._live.start()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note when the round begins."""
        self._speed.begin()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the display, at most once per refresh interval."""
        assert isinstance(pl_module, GAN)
        stage = pl_module.data_resolution(pl_module.progress)
        self._speed.end(pl_module.images_seen - pl_module.images_before, pl_module.critic_steps, stage)
        now = time.monotonic()
        interval = REFRESH_SECONDS if self._live else self.line_seconds
        if self._enabled and now - self._shown_at >= interval:
            self._shown_at = now
            self._show(pl_module)
        if self._enabled and now - self._recorded_at >= RECORD_SECONDS:
            self._recorded_at = now
            self._record(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the final state and close the display."""
        if self._enabled:
            self._show(pl_module)
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the display, so that the terminal is usable again."""
        self._close()

    def _show(self, model: LightningModule) -> None:
        assert isinstance(model, GAN)
        rate = self._speed.images_per_second
        line = " · ".join(
            [
                f"{model.progress:,} of {self.images:,} images",
                f"{rate:,.0f} images/s",
                *(f"{name} {value:.3g}" for name, value in model.last_terms.items()),
                f"{_time(seconds_left(self.stages, model.progress, rate))} left",
                *self._next_picture(model, rate),
            ]
        )
        if self._live:
            self._live.update(self._task, completed=model.progress, line=line, refresh=True)
        else:
            print(line, flush=True)

    def _record(self, trainer: Trainer, model: GAN) -> None:
        """Write progress, speed and time left into the run folder; without room on the disk, nothing."""
        rate = self._speed.images_per_second
        record = {
            "images_seen": model.images_seen,
            "progress": model.progress,
            "images": self.images,
            "images_per_second": round(rate, 3),
            "seconds_left": round(seconds_left(self.stages, model.progress, rate), 1),
            "written": round(time.time(), 1),
        }
        path = RunFolder(Path(trainer.default_root_dir)).progress
        with suppress(OSError), atomic_write(path) as scratch:
            scratch.write_text(json.dumps(record) + "\n", encoding="utf-8")

    def _next_picture(self, model: GAN, rate: float) -> list[str]:
        """Return how long it takes until the next grid of samples; nothing at the end and without grids."""
        if not self._pictures or not rate or model.progress >= self.images:
            return []
        images = min(self.images - model.progress, *(p.every - model.images_seen % p.every for p in self._pictures))
        seconds = min(images / rate, *(picture.seconds_left() for picture in self._pictures))
        return [f"picture in {_time(seconds)}"]

    def _close(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None


def _time(seconds: float) -> timedelta:
    return timedelta(seconds=round(max(seconds, 0.0)))
