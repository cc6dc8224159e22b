"""Callback that saves checkpoints at regular intervals."""

from __future__ import annotations

from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import LightningModule, Trainer

from zoo.callbacks.every import Every
from zoo.errors import CheckpointError
from zoo.gan import GAN
from zoo.io.run_folder import RunFolder
from zoo.training.terms import NonFiniteLossError


class SaveEvery(Every):
    """Callback that saves checkpoints in `checkpoints/` of the run folder, also when a run ends or is stopped.

    A state with a loss or a weight that is not finite is never saved. If a checkpoint cannot be written, for instance
    because the disk is full, the earlier ones stay intact: training continues with a warning, and the next attempt is
    at the next interval.

    Args:
        every: interval in images seen.
        keep: number of checkpoints to keep; older ones are removed after a newer one is complete.
        minutes: longest time between two checkpoints, in minutes, by the clock of rank 0; 0 for no limit.
    """

    def __init__(self, every: int, keep: int = 3, minutes: float = 10.0) -> None:
        super().__init__(every, minutes=minutes)
        if keep < 1:
            raise ValueError(f"keep must be at least 1; got {keep}")
        self.keep = keep

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the checkpoint that a run resumes from as it is, if the run ends without a further round."""
        assert isinstance(pl_module, GAN)
        super().on_train_start(trainer, pl_module)
        if RunFolder(Path(trainer.default_root_dir)).checkpoint(pl_module.images_seen).is_file():
            self._acted_at = pl_module.images_seen

    def due(self, trainer: Trainer, model: GAN) -> bool:
        """Check whether to save: at each multiple of `every`, after `minutes`, and as soon as a stop was requested."""
        return super().due(trainer, model) or trainer.should_stop

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Save a checkpoint and remove the oldest ones beyond `keep`.

        Raises:
            NonFiniteLossError: if the state is not finite and will not be rolled back; nothing is saved.
            CheckpointError: if the last checkpoint of a run cannot be written.
        """
        folder = RunFolder(Path(trainer.default_root_dir))
        try:
            trainer.save_checkpoint(folder.checkpoint(model.images_seen))
        except NonFiniteLossError:
            if model.can_roll_back and not trainer.should_stop:
                return
            raise
        except CheckpointError as error:
            trainer.strategy.barrier()  # the other ranks wait here at the end of a save
            if trainer.should_stop:
                raise
            sooner = f" or {self.minutes:g} minutes" if self.minutes else ""
            rank_zero_warn(f"{error}. Training goes on; the next attempt is in {self.every:,} images{sooner}")
            return
        if trainer.is_global_zero:
            for old in (*folder.checkpoints()[self.keep :], *folder.unfinished_checkpoints()):
                old.unlink()
