"""Save the whole state of a run, by images seen."""

from __future__ import annotations

from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import Trainer

from zoo.callbacks.every import Every
from zoo.errors import CheckpointError
from zoo.gan import GAN
from zoo.io.run_folder import RunFolder
from zoo.training.terms import NonFiniteLossError


class SaveEvery(Every):
    """Keeps the last `keep` checkpoints in `checkpoints/` of the run folder; also saves when a run ends or is stopped.

    A state with a loss or a weight that is not finite is never saved. A checkpoint that cannot be written, as on a
    full disk, leaves the earlier ones intact: training goes on with a warning and tries again at the next interval.

    Args:
        every: in images seen.
        keep: how many checkpoints stay; older ones are removed after a newer one is complete.
    """

    def __init__(self, every: int, keep: int = 3) -> None:
        super().__init__(every)
        if keep < 1:
            raise ValueError(f"keep must be at least 1; got {keep}")
        self.keep = keep

    def due(self, trainer: Trainer, model: GAN) -> bool:
        """At each crossing, and as soon as somebody asked to stop."""
        return super().due(trainer, model) or trainer.should_stop

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Write one checkpoint and remove the oldest beyond `keep`.

        Raises:
            NonFiniteLossError: instead of saving a broken state, unless that will be undone.
            CheckpointError: when the last checkpoint of a run cannot be written.
        """
        try:
            model.assert_finite()
        except NonFiniteLossError:
            if model.can_roll_back and not trainer.should_stop:
                return
            raise
        folder = RunFolder(Path(trainer.default_root_dir))
        try:
            trainer.save_checkpoint(folder.checkpoint(model.images_seen))
        except CheckpointError as error:
            trainer.strategy.barrier()  # where the other processes wait at the end of a save
            if trainer.should_stop:
                raise
            rank_zero_warn(f"{error}. Training goes on; the next attempt is in {self.every:,} images")
            return
        if trainer.is_global_zero:
            for old in folder.checkpoints()[self.keep :]:
                old.unlink()
