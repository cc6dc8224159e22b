"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from zoo.callbacks.cost import note_on_cost
from zoo.gan import GAN

REFRESH_SECONDS = 0.25


class RunProgress(ProgressBar):
    """Progress display: images of the total, images per second, latest losses, time left.

    It shows only losses that the training loop has logged already, so it never waits for the device.

    Args:
        images: length of the run, in images.
        line_seconds: time between two lines, in seconds, if there is no terminal.
    """

    def __init__(self, images: int, line_seconds: float = 10.0) -> None:
        super().__init__()
        self.images, self.line_seconds = images, line_seconds
        self._live: Progress | None = None
        self._shown_at = self._started_at = 0.0
        self._started_images = 0
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
        self._started_at = self._shown_at = time.monotonic()
        self._started_images = pl_module.images_seen
        if self._enabled and sys.stdout.isatty():
            columns = (BarColumn(), TextColumn("{task.fields[line]}"))
            self._live = Progress(*columns, console=Console(), auto_refresh=False)
            self._task = self._live.add_task("", total=self.images, completed=pl_module.progress, line="")
            self._live.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the display, at most once per refresh interval."""
        now = time.monotonic()
        interval = REFRESH_SECONDS if self._live else self.line_seconds
        if self._enabled and now - self._shown_at >= interval:
            self._shown_at = now
            self._show(pl_module)

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
        seconds = max(time.monotonic() - self._started_at, 1e-9)
        rate = (model.images_seen - self._started_images) / seconds
        left = (self.images - model.progress) / rate if rate else 0.0
        line = " · ".join(
            [
                f"{model.progress:,} of {self.images:,} images",
                f"{rate:,.0f} images/s",
                *(f"{name} {value:.3g}" for name, value in model.last_terms.items()),
                f"{timedelta(seconds=round(max(left, 0.0)))} left",
            ]
        )
        if self._live:
            self._live.update(self._task, completed=model.progress, line=line, refresh=True)
        else:
            print(line, flush=True)

    def _close(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None
