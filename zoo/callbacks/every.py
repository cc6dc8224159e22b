"""The base of callbacks that act every so many images."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from zoo.gan import GAN
from zoo.training.clock import crossed


class Every(Callback):
    """Calls `act` after each round in which the clock crossed a multiple of `every`, and at the start and the end.

    Args:
        every: in images seen.
        at_start: also act before the first round of a run that was not resumed.
        at_end: also act when training ends, unless the last round did already.
    """

    def __init__(self, every: int, *, at_start: bool = False, at_end: bool = True) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 image; got {every}")
        self.every, self._at_start, self._at_end = every, at_start, at_end
        self._acted_at: int | None = None

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Do the callback's work; the clock stands at `model.images_seen`."""
        raise NotImplementedError

    def due(self, trainer: Trainer, model: GAN) -> bool:
        """Whether to act after the round that has just ended."""
        return crossed(model.images_before, model.images_seen, self.every)

    def _act_once(self, trainer: Trainer, model: GAN) -> None:
        if self._acted_at != model.images_seen:
            self._acted_at = model.images_seen
            self.act(trainer, model)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on the untrained model, where wanted."""
        assert isinstance(pl_module, GAN)
        if self._at_start and pl_module.images_seen == 0:
            self._act_once(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Act when it is time."""
        assert isinstance(pl_module, GAN)
        if self.due(trainer, pl_module):
            self._act_once(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on the final model."""
        assert isinstance(pl_module, GAN)
        if self._at_end:
            self._act_once(trainer, pl_module)
