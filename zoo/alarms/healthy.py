"""The checkpoint from before the damage, and the way back to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import Trainer

from zoo.errors import CheckpointError, first_line
from zoo.gan import GAN
from zoo.io.checkpoints import load_weights, read_checkpoint
from zoo.io.run_folder import RunFolder
from zoo.training.clock import progress_of
from zoo.training.terms import NonFiniteLossError

KEEP_ROUNDS = 160
"""Between two candidates; as long as a candidate is on probation, so that a rollback loses at most twice as many."""


class HealthyCheckpoints:
    """Keeps one confirmed checkpoint and one candidate in `healthy/` of the run folder.

    A candidate saved just as a collapse begins would be no way back. So it counts as healthy only when no alarm has
    rung for a while after it; until then the one before it stays.
    """

    def __init__(self) -> None:
        self.confirmed = ""  # file names
        self.candidate = ""
        self.saved_in = 0  # round of the candidate
        self.before_alarm = ""  # what was confirmed when an alarm first rang: a collapse, too, becomes a habit
        self.named = ""  # what the run's newest checkpoint would roll back to, if it were resumed

    def judge(self, rounds: int, ringing: bool, quiet: int) -> None:
        """Drop the candidate if an alarm rings; confirm it after `quiet` rounds without one."""
        if self.candidate and ringing:
            self.candidate = ""
        elif self.candidate and rounds - self.saved_in >= quiet:
            self.confirmed, self.candidate = self.candidate, ""

    def due(self, rounds: int, ringing: bool) -> bool:
        """Whether a new candidate is wanted."""
        return not self.candidate and not ringing and rounds - self.saved_in >= KEEP_ROUNDS

    def keep(self, trainer: Trainer, model: GAN) -> None:
        """Save a candidate; what cannot be saved is left for the next time."""
        folder = RunFolder(Path(trainer.default_root_dir))
        name = folder.checkpoint(model.images_seen).name
        named, self.candidate, self.saved_in = self.named, name, model.rounds
        try:
            model.assert_finite()
            trainer.save_checkpoint(folder.healthy_checkpoint(name))
        except NonFiniteLossError:
            self.candidate = ""
            return
        except CheckpointError as error:
            trainer.strategy.barrier()  # where the other processes wait at the end of a save
            rank_zero_warn(f"{first_line(error)}. Training goes on without this healthy checkpoint")
            self.candidate = ""
            return
        finally:
            self.named = named  # saving asked for `state_dict`, but this is none of the run's own checkpoints
        if trainer.is_global_zero:
            for old in folder.healthy_checkpoints():
                if old.name not in (self.confirmed, self.candidate, self.before_alarm, self.named):
                    old.unlink()

    def alarmed(self) -> None:
        """Spare what is confirmed now for good, unless an earlier alarm has done so."""
        self.before_alarm = self.before_alarm or self.confirmed

    def after_rollback(self, rounds: int) -> None:
        """What was saved since belongs to what went wrong."""
        self.candidate, self.saved_in, self.before_alarm = "", rounds, ""

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint that is being written."""
        self.named = self.confirmed
        return {
            "confirmed": self.confirmed,
            "candidate": self.candidate,
            "saved_in": self.saved_in,
            "before_alarm": self.before_alarm,
        }

    def load_state_dict(self, state: dict[str, Any], folder: Path) -> None:
        """Go on from `state_dict`, with those checkpoints that the run folder still has."""
        there = {path.name for path in RunFolder(folder).healthy_checkpoints()}
        self.confirmed, self.candidate = (
            state[key] if state[key] in there else "" for key in ("confirmed", "candidate")
        )
        self.saved_in, self.before_alarm = state["saved_in"], state.get("before_alarm", "")
        self.named = self.confirmed  # by the checkpoint that the run goes on from, until it saves the next


def roll_back(trainer: Trainer, model: GAN, path: Path) -> dict[str, Any]:
    """Put networks, average, optimizers and progress back to a checkpoint; the clock goes on. Returns the checkpoint.

    Raises:
        CheckpointError: when it cannot be read.
    """
    state = read_checkpoint(path)
    load_weights(model, state, path)
    for optimizer, moments in zip(trainer.optimizers, state["optimizer_states"]):
        optimizer.load_state_dict(moments)
    model.discard_terms()
    model.images_undone = model.images_seen - progress_of(state["zoo"])
    return state
