"""Alarms that are raised in a given round, for `test_replicas.py`; every rank saves its final state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer

from zoo.alarms import healthy
from zoo.callbacks import Alarms

RAISED_IN = 40  # round, after a candidate of round 10 has been confirmed


class ForcedAlarms(Alarms):
    """Callback that raises one alarm and records the weights just after the rollback."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the alarms."""
        healthy.KEEP_ROUNDS = 10
        super().on_train_start(trainer, pl_module)
        model: Any = pl_module
        self.alarms = {"forced": lambda now: "it was told to" if model.rounds == RAISED_IN else ""}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the weights just after the rollback."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        model: Any = pl_module
        if model.rounds == RAISED_IN:
            healthy.KEEP_ROUNDS = 10**6  # the file stays, to be compared with
            self.after = {name: weight.clone() for name, weight in model.state_dict().items()}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save weights, rate and number of rollbacks."""
        super().on_train_end(trainer, pl_module)
        model: Any = pl_module
        found = {
            "after": self.after,
            "ended": model.state_dict(),
            "lr_factor": model.lr_factor,
            "rolled_back": self.rolled_back,
            "images_seen": model.images_seen,
        }
        torch.save(found, Path(trainer.default_root_dir) / f"left-{trainer.global_rank}.pt")
