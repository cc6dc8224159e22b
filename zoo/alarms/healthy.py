"""Checkpoints from before a failure, and rolling back to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer

from zoo.errors import CheckpointError, first_line
from zoo.gan import GAN
from zoo.io.checkpoints import load_weights, read_checkpoint
from zoo.io.room import Missing
from zoo.io.run_folder import RunFolder
from zoo.training.clock import progress_of
from zoo.training.terms import NonFiniteLossError

KEEP_ROUNDS = 160
"""Rounds between two candidates. By default a candidate waits as many rounds for confirmation, so a rollback undoes at
most twice as many."""


class HealthyCheckpoints:
    """One confirmed checkpoint and one candidate in `healthy/` of the run folder.

    A candidate that was saved at the beginning of a collapse must not be rolled back to. It is confirmed only after a
    number of rounds without an alarm; until then the earlier checkpoint is kept.
    """

    def __init__(self) -> None:
        self.confirmed = ""  # file names
        self.candidate = ""
        self.saved_in = 0  # round of the candidate
        self.missing = Missing("healthy checkpoints")
        self.before_alarm = ""  # confirmed when the first alarm was raised, since a collapse becomes a baseline in time
        self.named = ""  # confirmed according to the run's newest checkpoint: a resumed run would roll back to it

    def judge(self, rounds: int, alarmed: bool, quiet: int) -> None:
        """Discard the candidate if an alarm is active, or confirm it after enough rounds without one.

        Args:
            rounds: current round.
            alarmed: whether an alarm is active.
            quiet: number of rounds without an alarm after which the candidate is confirmed.
        """
        if self.candidate and alarmed:
            self.candidate = ""
        elif self.candidate and rounds - self.saved_in >= quiet:
            self.confirmed, self.candidate = self.candidate, ""

    def due(self, rounds: int, alarmed: bool) -> bool:
        """Check whether to save a new candidate.

        Args:
            rounds: current round.
            alarmed: whether an alarm is active.
        """
        return not self.candidate and not alarmed and rounds - self.saved_in >= KEEP_ROUNDS

    def keep(self, trainer: Trainer, model: GAN) -> None:
        """Save a candidate, on all ranks; if that fails, the next attempt follows `KEEP_ROUNDS` later."""
        folder = RunFolder(Path(trainer.default_root_dir))
        name = folder.checkpoint(model.images_seen).name
        named, self.candidate, self.saved_in = self.named, name, model.rounds
        self.missing.attempts += 1
        try:
            trainer.save_checkpoint(folder.healthy_checkpoint(name))
        except NonFiniteLossError:
            self.candidate = ""
            return
        except CheckpointError as error:
            trainer.strategy.barrier()  # the other ranks wait here at the end of a save
            cause = first_line(error)
            text = f"{cause}. Training goes on without this healthy checkpoint"
            self.missing.add(text, cause.replace(name, "IMAGES"))
            self.candidate = ""
            return
        finally:
            self.named = named  # saving called `state_dict`, but a resumed run does not start from this checkpoint
        if trainer.is_global_zero:
            for old in folder.healthy_checkpoints():
                if old.name not in (self.confirmed, self.candidate, self.before_alarm, self.named):
                    old.unlink()

    def alarmed(self) -> None:
        """Protect the confirmed checkpoint from deletion, unless an earlier alarm has protected one."""
        self.before_alarm = self.before_alarm or self.confirmed

    def after_rollback(self, rounds: int) -> None:
        """Discard the candidate, which was saved after the failure began.

        Args:
            rounds: current round, from which the next candidate is counted.
        """
        self.candidate, self.saved_in, self.before_alarm = "", rounds, ""

    def state_dict(self) -> dict[str, Any]:
        """Convert to plain values, for a checkpoint that is being written."""
        self.named = self.confirmed
        return {
            "confirmed": self.confirmed,
            "candidate": self.candidate,
            "saved_in": self.saved_in,
            "before_alarm": self.before_alarm,
        }

    def load_state_dict(self, state: dict[str, Any], folder: Path) -> None:
        """Restore from a `state_dict`, with those checkpoints that the run folder still has.

        Args:
            state: the `state_dict`.
            folder: the run folder.
        """
        existing = {path.name for path in RunFolder(folder).healthy_checkpoints()}
        self.confirmed, self.candidate = (
            state[key] if state[key] in existing else "" for key in ("confirmed", "candidate")
        )
        self.saved_in, self.before_alarm = state["saved_in"], state.get("before_alarm", "")
        self.named = self.confirmed  # according to the checkpoint that the run resumes from, until it saves the next


def roll_back(trainer: Trainer, model: GAN, path: Path) -> dict[str, Any]:
    """Restore networks, EMA, optimizers, adaptive strength and progress from a checkpoint, not the images seen.

    Args:
        trainer: the trainer, whose optimizers are restored.
        model: the model to restore.
        path: path of the checkpoint.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
    """
    state = read_checkpoint(path)
    load_weights(model, state, path)
    for optimizer, moments in zip(trainer.optimizers, state["optimizer_states"]):
        optimizer.load_state_dict(moments)
    model.discard_terms()
    model.load_strength(state["zoo"])
    model.images_undone = model.images_seen - progress_of(state["zoo"])
    return state
