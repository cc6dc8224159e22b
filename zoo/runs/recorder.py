"""The record that a run writes into its folder when training starts and when it ends."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from zoo.config.recipe import Recipe
from zoo.errors import UserError
from zoo.gan import GAN
from zoo.io.environment import environment
from zoo.io.files import cache_folder
from zoo.io.room import spared
from zoo.io.run_folder import RunFolder
from zoo.io.scratch import sweep
from zoo.runs.recording import record_recipe
from zoo.runs.resuming import check_moments


class RunRecorder(Callback):
    """A callback that makes all processes use the run folder of rank 0, and writes the record of the run on rank 0.

    The recipe is written in the first round, not earlier: no process then plans its run from the files of another, and
    a resumed run that is refused, by a callback too, keeps its recipe and its checkpoints.

    Args:
        folder: run folder of this process, whose name may contain another second than that of rank 0.
        recipe: recipe as it runs.
        start: checkpoint that the run is resumed from; None for a new run.
        pretrained: record of the pretrained weights, or None.
    """

    def __init__(self, folder: Path, recipe: Recipe, start: Path | None, pretrained: dict[str, Any] | None) -> None:
        self.folder, self.recipe, self.start, self.pretrained = folder, recipe, start, pretrained
        self.has_begun = False
        self.before = 0.0  # seconds of the trial of threads, which belongs to the training
        self._began: float | None = None

    @property
    def seconds(self) -> float:
        """Duration of the training so far, in seconds, without the time in which other processes start."""
        return self.before + (0.0 if self._began is None else time.monotonic() - self._began)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Replace the run folder of this process by that of rank 0."""
        self.folder = Path(trainer.strategy.broadcast(str(self.folder)))
        if not trainer.is_global_zero:  # nothing is written here, but callbacks may read
            setattr(trainer, "_default_root_dir", str(self.folder))  # noqa: B010 - Lightning offers no setter

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check what was restored."""
        self._began = time.monotonic()
        if self.start is not None:
            check_moments(trainer.optimizers, self.start)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Record the start in the first round, when every callback has accepted the run in its `on_train_start`."""
        self._begin(trainer, pl_module)  # not in `on_train_epoch_start`, which a resume within an epoch passes over

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the start of a run that has no round left."""
        self._begin(trainer, pl_module)

    def _begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write recipe and environment, and move away files of later states, once and on rank 0."""
        if trainer.is_global_zero and not self.has_begun:
            try:
                self._record_start()
            except OSError as error:
                reason = error.strerror or error
                raise UserError(
                    f"out: cannot write {self.folder}: {reason}. Make room, or choose another out=FOLDER"
                ) from error
            if self.start is not None:
                assert isinstance(pl_module, GAN)
                self._set_aside(pl_module.images_seen)
            self.has_begun = True

    def record_end(self, model: GAN, is_complete: bool) -> None:
        """Record the end of the run, with the number of its start; a killed run has no such record."""
        if self.has_begun:
            run = RunFolder(self.folder)
            end = {"seconds": round(self.seconds, 1), "images_seen": model.images_seen, "start": len(run.starts())}
            with spared("the record of the end", run.path):
                run.record_end({**end, "complete": is_complete})

    def _record_start(self) -> None:
        run, recipe, start = RunFolder(self.folder), self.recipe, self.start
        sweep(run.path)
        sweep(cache_folder())
        record_recipe(run, recipe)
        record = {
            "recipe": recipe.name,
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "resumed_from": None if start is None else start.name,
            "pretrained": self.pretrained,
            "command": sys.argv,
            "folder": str(Path.cwd()),  # relative paths of the recipe are seen from here
            "threads": torch.get_num_threads(),
            **environment(),
        }
        run.record_start(record)

    def _set_aside(self, images_seen: int) -> None:
        run = RunFolder(self.folder)
        moved = [run.set_aside(path) for path in run.newer_than(images_seen)]
        if moved:
            counts = Counter(path.parent.relative_to(run.path).as_posix() for path in moved)
            files = ", ".join(f"{count} in {folder}/" for folder, count in counts.items())
            print(f"set aside, as newer than the checkpoint that the run resumes from: {files}")
