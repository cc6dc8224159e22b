"""End a run: at its length in images, or when the user or the machine asks."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Callback, LightningModule, Trainer

from zoo.gan import GAN
from zoo.training.replicas import Replicas


class StopAt(Callback):
    """Stops after the round in which the run has its length. Rounds that a rollback undid do not count.

    Args:
        images: the length.
    """

    def __init__(self, images: int) -> None:
        self.images = images

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask the trainer to stop when the run has its length."""
        assert isinstance(pl_module, GAN)
        if pl_module.progress >= self.images:
            trainer.should_stop = True


class StopOnSignal(Callback):
    """Ctrl-C and SIGTERM finish the round, save and end the run; a second Ctrl-C ends the process at once.

    Lightning by itself breaks off in mid-round, where one player has moved and the other has not. Of several processes
    it is enough that one is asked: all of them stop after the same round.

    `received` is the signal that ends the run, once all processes know of it.
    """

    signals = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None
        self._heard: int | None = None  # in this process; one that acted on it alone would leave the others waiting
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen from the first round on."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in self.signals}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._heard is not None and number == signal.SIGINT:
            os._exit(128 + number)
        self._heard = number
        if getattr(rank_zero_only, "rank", 0):  # one voice is enough
            return
        again = "; press Ctrl-C again to end at once, unsaved" if number == signal.SIGINT else ""
        os.write(2, f"\n{signal.Signals(number).name}: finishing this round, then saving{again}\n".encode())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop between two rounds."""
        heard = self._heard or 0
        if isinstance(trainer.strategy, Replicas):  # what comes while they talk, all learn after the next round
            heard = trainer.strategy.largest(heard)
        if heard:
            self.received = heard
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
