"""Logging of the terms of losses, and the checks that they and what a checkpoint holds are finite."""

from __future__ import annotations

from typing import Any

from zoo.training.arrivals import Arrivals
from zoo.training.terms import NonFiniteLossError, RunningTerms, assert_finite, saved_tensors


class LogsTerms:
    """The part of `zoo.GAN` that logs the terms of its losses."""

    trainer: Any
    loggers: Any
    images_seen: Any
    rounds: Any
    last_terms: dict[str, float]
    can_roll_back: bool
    _running: RunningTerms
    _arrivals: Arrivals
    _not_checked: frozenset[str]

    def logs_this_round(self) -> bool:
        """Return whether the trainer logs after this round; never with `log_every_n_steps=0`, as `barebones` has it."""
        every = getattr(self.trainer, "log_every_n_steps", 50)
        return bool(every) and self.rounds % every == 0

    def log_terms(self) -> None:
        """Send the mean of every term since the last call to the loggers, with `images_seen` as the step.

        Raises:
            NonFiniteLossError: when a mean is not finite, unless the `Alarms` callback will roll back.
        """
        self._arrivals.check()
        try:
            means = self._running.means(self.trainer.strategy.reduce)
        except NonFiniteLossError:
            if self.can_roll_back:
                return
            raise
        if not means:
            return
        self.last_terms = means
        self._running.clear()
        for logger in self.loggers:
            logger.log_metrics(self.last_terms, step=self.images_seen)

    def on_train_end(self) -> None:
        """Log the terms of the rounds since the last log."""
        self.log_terms()

    def discard_terms(self) -> None:
        """Discard the terms of the rounds since the last log; for rounds that were undone."""
        self._running.clear()

    def assert_finite(self) -> None:
        """Check everything that a checkpoint would hold: losses since the last log, weights, averages, optimizers.

        Raises:
            NonFiniteLossError: when any of it is not finite.
        """
        model: Any = self
        reduce = self.trainer.strategy.reduce
        self._arrivals.check()
        self._running.means(reduce)
        assert_finite(saved_tensors(model, self.trainer.optimizers, self._not_checked), reduce)
