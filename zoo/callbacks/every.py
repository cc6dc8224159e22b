"""Base class of callbacks that act at regular intervals, counted in images seen or in minutes."""

from __future__ import annotations

import math
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from zoo.gan import GAN
from zoo.training.clock import crossed
from zoo.training.replicas import Replicas

ROUNDS_TOGETHER = 10
"""Rounds between two looks at the clock of rank 0 if there are several processes, as each look is an exchange."""


class Every(Callback):
    """Base class that calls `act` after each round in which the clock crosses a multiple of `every`.

    A limit in minutes adds occasions: a round after which `act` has not been called for so long. The time is that of
    rank 0, so that all processes act after the same round.

    Args:
        every: interval in images seen.
        minutes: longest time between two calls of `act` while rounds end; 0 for no limit.
        at_start: also act before the first round of a run that was not resumed.
        at_end: also act when training ends, unless the last round did.
    """

    def __init__(self, every: int, *, minutes: float = 0.0, at_start: bool = False, at_end: bool = True) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 image; got {every}")
        if not 0 <= minutes < math.inf:
            raise ValueError(f"minutes must be a number from 0 on, 0 for no limit in time; got {minutes}")
        self.every, self.minutes, self._at_start, self._at_end = every, minutes, at_start, at_end
        self._acted_at: int | None = None
        self._acted_time = time.monotonic()

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Do the work of the callback; the clock is at `model.images_seen`."""
        raise NotImplementedError

    def due(self, trainer: Trainer, model: GAN) -> bool:
        """Check whether to act after the round that has just ended."""
        return crossed(model.images_before, model.images_seen, self.every) or self._is_overdue(trainer, model)

    def seconds_left(self) -> float:
        """Return the seconds until the limit in minutes is reached; infinity if there is none."""
        return self._acted_time + 60 * self.minutes - time.monotonic() if self.minutes else math.inf

    def _is_overdue(self, trainer: Trainer, model: GAN) -> bool:
        """Check whether the limit in minutes has passed on rank 0; with several processes, every few rounds."""
        if not self.minutes or (trainer.world_size > 1 and model.rounds % ROUNDS_TOGETHER):
            return False
        return is_true_on_first(trainer, self.seconds_left() <= 0)

    def _act_once(self, trainer: Trainer, model: GAN) -> None:
        if self._acted_at != model.images_seen:
            self._acted_at = model.images_seen
            self.act(trainer, model)
            self._acted_time = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Act on the untrained model, if `at_start`."""
        assert isinstance(pl_module, GAN)
        self._acted_at, self._acted_time = None, time.monotonic()  # an earlier fit may have ended at the same image
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


def is_true_on_first(trainer: Trainer, answer: bool) -> bool:
    """Return the answer of rank 0 in all processes; each has to call this after the same round."""
    if trainer.world_size == 1:
        return answer
    answer = answer and trainer.is_global_zero
    if isinstance(trainer.strategy, Replicas):  # over gloo, so that no GPU is waited for
        return bool(trainer.strategy.largest(int(answer)))
    return bool(trainer.strategy.reduce_boolean_decision(answer, all=False))
