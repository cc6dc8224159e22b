"""Callbacks that end a run: at its length in images, or on a signal."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Callback, LightningModule, Trainer

from zoo.gan import GAN
from zoo.training.replicas import Replicas


class StopAt(Callback):
    """Callback that stops a run at its length. Rounds undone by a rollback do not count.

    Args:
        images: length of the run, in images.
    """

    def __init__(self, images: int) -> None:
        self.images = images

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Request a stop at once if the run had reached its length when it was killed: its end is still to come."""
        assert isinstance(pl_module, GAN)
        trainer.should_stop |= pl_module.progress >= self.images

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Request a stop if the run has reached its length."""
        assert isinstance(pl_module, GAN)
        if pl_module.progress >= self.images:
            trainer.should_stop = True


class StopOnSignal(Callback):
    """Callback that ends a run on Ctrl-C or SIGTERM: it finishes the round and saves; a second Ctrl-C exits at once.

    The first round of a start is not waited for longer than `patience` after Ctrl-C, because there is nothing to save.
    In a later round, the line says how long a round takes.

    Without it, Lightning stops in mid-round, when one player has been updated and the other has not. With several
    processes, a signal to one of them stops all of them after the same round.

    The attribute `received` is the signal that ends the run, set as soon as all processes know of it; None before.
    """

    signals = (signal.SIGINT, signal.SIGTERM)
    patience = 10.0  # seconds

    def __init__(self) -> None:
        self._round_seconds: float | None = None  # of the last round; None before the first has ended
        self._round_began = 0.0
        self.received: int | None = None
        self._received_here: int | None = None  # by this rank, which must not stop alone: the others would wait for it
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the signal handlers."""
        self.received = self._received_here = None  # a signal ends one fit
        self._round_seconds, self._round_began = None, time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in self.signals}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._received_here is not None and number == signal.SIGINT:
            os._exit(128 + number)
        self._received_here = number
        if number == signal.SIGINT and self._round_seconds is None:
            timer = threading.Timer(self.patience, self._end_first_round)
            timer.daemon = True
            timer.start()
        if getattr(rank_zero_only, "rank", 0):  # only rank 0 prints
            return
        seconds = self._round_seconds
        long = f" (a round takes {seconds:,.0f} s)" if seconds is not None and seconds > self.patience else ""
        again = "; press Ctrl-C again to end at once, unsaved" if number == signal.SIGINT else ""
        os.write(2, f"\n{signal.Signals(number).name}: finishing this round{long}, then saving{again}\n".encode())

    def _end_first_round(self) -> None:
        """End this process if the first round has not ended since Ctrl-C; called in another thread, as torch blocks."""
        if self._round_seconds is None and self._before:
            if not getattr(rank_zero_only, "rank", 0):
                os.write(2, b"the first round takes long: ended at once, as there is nothing to save yet\n")
            os._exit(128 + signal.SIGINT)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the start of a round: measurements and checkpoints between rounds are not part of it."""
        self._round_began = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Request a stop after this round if any rank has received a signal."""
        self._round_seconds = time.monotonic() - self._round_began
        received = self._received_here or 0
        if isinstance(trainer.strategy, Replicas):  # a signal during this exchange is shared after the next round
            received = trainer.strategy.largest(received)
        if received:
            self.received = received
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the previous signal handlers."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restore the previous signal handlers."""
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
