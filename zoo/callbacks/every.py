"""Base class of callbacks that act at regular intervals, counted in images seen."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from zoo.gan import GAN
from zoo.training.clock import crossed


class Every(Callback):
    """Base class that calls `act` after each round in which the clock crosses a multiple of `every`.

    Args:
        every: interval in images seen.
        at_start: also act before the first round of a run that was not resumed.
        at_end: also act when training ends, unless the last round did.
    """

    def __init__(self, every: int, *, at_start: bool = False, at_end: bool = True) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 image; got {every}")
        self.every, self._at_start, self._at_end = every, at_start, at_end
        self._acted_at: int | None = None

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Do the work of the callback; the clock is at `model.images_seen`."""
        raise NotImplementedError

    def due(self, trainer: Trainer, model: GAN) -> bool:
        """Check whether to act after the round that has just ended."""
        return crossed(model.images_before, model.images_seen, self.every)

    def _act_once(self, trainer: Trainer, model: GAN) -> None:
        if self._acted_at != model.images_seen:
            self._acted_at = model.images_seen
            self.act(trainer, model)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on the untrained model, if `at_start`."""
        assert isinstance(pl_module, GAN)
        if self._at_start and pl_module.images_seen == 0:
            self._act_once(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Act if the round has crossed a multiple of `every`."""
        assert isinstance(pl_module, GAN)
        if self.due(trainer, pl_module):
            self._act_once(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on the final model, if `at_end`."""
        assert isinstance(pl_module, GAN)
        if self._at_end:
            self._act_once(trainer, pl_module)
