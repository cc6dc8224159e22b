"""Callback that monitors a run, raises alarms when it breaks, and acts on them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, get_args

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.optim import Optimizer

from zoo.alarms.healthy import HealthyCheckpoints, roll_back
from zoo.alarms.named import ALARMS, REMEDIES
from zoo.alarms.observe import Observer
from zoo.alarms.reading import Baselines, Reading
from zoo.alarms.records import Records
from zoo.errors import FeatureError, did_you_mean, require_at_least
from zoo.features import extractor
from zoo.gan import GAN
from zoo.io.files import digest_of_values
from zoo.io.room import spared
from zoo.io.run_folder import RunFolder
from zoo.training.batch import Batch
from zoo.training.clock import crossed
from zoo.training.replicas import Replicas

Action = Literal["warn", "stop", "rollback"]
FULL_READINGS = 25
"""Number of quick readings per full reading, if `every` is 0."""
QUIET_READINGS = 16
"""Number of readings without an alarm after which it can be raised again."""
REGAIN_ROUNDS = 100
"""Rounds after a rollback over which learning rates rise from 0, since the cause may still be present."""


class Decision(IntEnum):
    """What all ranks do after a reading; rank 0 decides, and the largest value over all ranks is carried out."""

    CONTINUE = 0
    KEEP_CHECKPOINT = 1
    STOP = 2
    ROLL_BACK = 3


class Alarms(Callback):
    """Callback that measures signals of both networks, raises an alarm if one changes more than usual, and acts on it.

    The signals are measured in `zoo/alarms/observe.py`, the alarms are defined in `zoo/alarms/named.py`, and
    `docs/alarms.md` explains both. Training stays the same, bit for bit, unless an alarm leads to an action.

    Files in the run folder: `alarms/events.jsonl`, one line for each alarm with its reason; `alarms/signals.jsonl`, the
    signals over time; `healthy/IMAGES.ckpt`, the healthy checkpoint, if kept. Loggers get the signals as `signals/...`,
    and TensorBoard gets the alarms as text. With several processes, rank 0 monitors the run and all ranks act.

    Args:
        every: images between full readings (singular values, held-out images, Adam's updates); 0 makes every 25th
            reading a full one.
        rounds: rounds between quick readings. It counts batches and not images, since a collapse takes about a dozen
            batches, however large they are.
        action: action on an alarm: `warn`; `stop` the run; or `rollback`, which restores networks, EMA and optimizers
            from the last healthy checkpoint. The count of images seen goes on, so images and latents differ from those
            that led to the alarm, and learning rates rise from 0 over 100 rounds; if the run breaks again, the next
            rollback also lowers them. Undone rounds are trained again: schedules and growth go back with the networks,
            and the run becomes longer by the same amount.
        keep_healthy: keep the healthy checkpoint also with `warn` and `stop`. A checkpoint is healthy if no alarm was
            raised in 16 quick readings after it (160 rounds by default).
        rollbacks: largest number of rollbacks; the next alarm stops the run.
        lr_drop: factor on all learning rates at every rollback after the first, in (0, 1]; 1 for none.
        ignore: names of alarms that are never raised.
        classifier: name of an extractor with classes, such as `digits`, whose class shares of generated images become
            signals; empty for none.
    """

    def __init__(
        self,
        every: int = 0,
        rounds: int = 10,
        action: Action = "warn",
        keep_healthy: bool = False,
        rollbacks: int = 2,
        lr_drop: float = 0.5,
        ignore: tuple[str, ...] = (),
        classifier: str = "",
    ) -> None:
        require_at_least(0, every=every, rollbacks=rollbacks)
        require_at_least(1, rounds=rounds)
        if action not in get_args(Action):
            raise ValueError(f"action is one of {', '.join(get_args(Action))}; got {action!r}")
        if not 0 < lr_drop <= 1:
            raise ValueError(f"lr_drop must lie in (0, 1]; got {lr_drop}")
        for name in ignore:
            if name not in ALARMS:
                raise ValueError(f"ignore: there is no alarm {name!r}.{did_you_mean(name, ALARMS)}")
        self.every, self.rounds, self.action, self.rollbacks, self.lr_drop = every, rounds, action, rollbacks, lr_drop
        self.keep_healthy, self.classifier = keep_healthy or action == "rollback", classifier
        self.alarms = {name: check for name, check in ALARMS.items() if name not in ignore}
        self.records: Records | None = None  # on rank 0
        self._observer: Observer | None = None
        self._restored: dict[str, Any] = {}
        self._begin()

    def _begin(self) -> None:
        """Set the state of readings and decisions to that of a model of which nothing is known."""
        self.baselines = Baselines()
        self.healthy = HealthyCheckpoints()
        self.rolled_back = 0  # number of rollbacks
        self.rolled_back_in = 0  # round of the latest rollback
        self.lowered = 1.0  # factor of all rollbacks on the learning rates
        self.stopped: dict[str, Any] | None = None  # the event that ended the run
        self.active: dict[str, int] = {}  # by name of an active alarm: the last round in which it was raised
        self.full_only: set[str] = set()  # alarms raised by the latest full reading that quick readings cannot raise
        self._read_at = 0  # images seen at the last quick reading

    # --- hooks -------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the fixed inputs, and continue from the state of the checkpoint, if any.

        Raises:
            FeatureError: if the classifier is not available or has no classes.
        """
        assert isinstance(pl_module, GAN)
        folder = Path(trainer.default_root_dir)
        self.stopped = None
        if self._observer is not None and self._observer.networks["g"] is pl_module.generator:
            self.healthy.load_state_dict(self.healthy.state_dict(), folder)  # the folder may be another one
        else:  # also where the callback has watched another model before
            self._begin()
        self._players = {
            id(optimizer): (player.name, pl_module.trained_parameters(player.name))
            for player, optimizer in zip(pl_module.players(), trainer.optimizers)
        }
        network = extractor(self.classifier).to(pl_module.device) if self.classifier else None
        if network is not None and network.logits_width == 0:
            raise FeatureError(f"Alarms.classifier: extractor {self.classifier} has no classes; `digits` has")
        self._observer = Observer(pl_module, getattr(trainer, "datamodule", None), classifier=network)
        if trainer.is_global_zero:
            self.records = Records(RunFolder(folder), pl_module.images_seen)
        self._restore(pl_module, self._restored, folder)
        self._set_learning_rates(pl_module)
        pl_module.can_roll_back = self._rolls_back() and "not finite" in self.alarms

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Record gradient norms; gradients are final here and not yet clipped."""
        if self._observer is not None and self._observer.awaited and trainer.is_global_zero:
            self._observer.on_step(*self._players[id(optimizer)])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take a reading if it is due, and act on it."""
        assert isinstance(pl_module, GAN)
        assert self._observer is not None
        if self._observer.fixed.missing(pl_module):
            self._observer.fixed.first_batch(Batch.of(batch))
        self._set_learning_rates(pl_module)
        if pl_module.rounds % self.rounds == 0 and not self._observer.fixed.missing(pl_module):
            decision = self._read_and_report(trainer, pl_module) if trainer.is_global_zero else Decision.CONTINUE
            if isinstance(trainer.strategy, Replicas):
                decision = Decision(trainer.strategy.largest(decision))
            self._carry_out(decision, trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the signals that have not been written yet, and say which healthy checkpoints are missing."""
        if self.records is not None:
            self.records.flush()
        self.healthy.missing.say()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the signals that have not been written yet."""
        self.on_train_end(trainer, pl_module)

    # --- on rank 0 ---------------------------------------------------------------------------------------------------

    def _read_and_report(self, trainer: Trainer, model: GAN) -> Decision:
        """Take a reading, report new alarms, and decide what all ranks do."""
        assert self._observer is not None
        assert self.records is not None
        quick = self._observer.quick(trainer, model)
        full = self._observer.full(trainer, model) if self._full_is_due(model) else {}
        reading = self.baselines.read(quick, self._stage(model, quick), full)
        raised = self._check(reading, self.alarms)
        new = {name: reason for name, reason in raised.items() if name not in self.active}
        if new and not full:  # a full reading names what else has changed, and is recorded for later inspection
            full = self._observer.full(trainer, model)
            reading = self.baselines.read({}, self.baselines.stage, full)
            further = self._check(reading, [name for name in self.alarms if name not in raised])
            raised |= further
            new |= {name: reason for name, reason in further.items() if name not in self.active}
        if full:  # alarms that only a full reading can raise stay active until the next full reading
            quick_reading = Reading(quick, self.baselines.tracks)
            self.full_only = {name for name in raised if not self.alarms[name](quick_reading)}
        self.active |= dict.fromkeys({*raised, *self.full_only}, model.rounds)
        quiet_since = model.rounds - QUIET_READINGS * self.rounds
        self.active = {name: last for name, last in self.active.items() if last > quiet_since}
        kind = "alarm" if new else "full" if full else "quick"
        self.records.signals(model.images_seen, model.rounds, model.rounds // self.rounds, {**quick, **full}, kind)
        if full:
            self._log(trainer, model, {**quick, **full})
        decision = self._decide(model, bool(new))
        if new:
            self.healthy.alarmed()
        for name, reason in new.items():
            self._report(trainer, model, name, reason, decision)
        return decision

    def _check(self, reading: Reading, names: Iterable[str]) -> dict[str, str]:
        """Check alarms on a reading; return the reasons of those raised, by name."""
        return {name: reason for name in names if (reason := self.alarms[name](reading))}

    def _decide(self, model: GAN, alarmed: bool) -> Decision:
        """Decide what all ranks do, and update the state of the healthy checkpoints.

        Args:
            model: the monitored model.
            alarmed: whether this reading has raised a new alarm.
        """
        if alarmed and self.action != "warn":
            return Decision.ROLL_BACK if self._rolls_back() and self.healthy.confirmed else Decision.STOP
        self.healthy.judge(model.rounds, bool(self.active), QUIET_READINGS * self.rounds)
        if self.keep_healthy and self.healthy.due(model.rounds, bool(self.active)):
            return Decision.KEEP_CHECKPOINT
        return Decision.CONTINUE

    def _full_is_due(self, model: GAN) -> bool:
        """Return whether this reading is a full one, and record the images seen for the next call."""
        before, self._read_at = self._read_at, model.images_seen
        if self.every:
            return crossed(before, model.images_seen, self.every)
        return model.rounds % (FULL_READINGS * self.rounds) == 0

    @staticmethod
    def _stage(model: GAN, values: dict[str, float]) -> str:
        """Return a digest of what determines the usual size of signals: the resolution and the layers in use."""
        layers = sorted(name for name in values if name.startswith("activation/"))
        return digest_of_values(model.data_resolution(model.progress), layers)

    def _report(self, trainer: Trainer, model: GAN, name: str, reason: str, decision: Decision) -> None:
        """Write an alarm to the file of events, the console and TensorBoard."""
        healthy = self.healthy.confirmed
        action = {Decision.STOP: "stop", Decision.ROLL_BACK: f"rollback to {healthy}"}.get(decision, "warn")
        if decision == Decision.STOP and self.action == "rollback":
            action = "stop, the rollbacks are used up" if healthy else "stop, no state has been judged healthy yet"
        event = {
            "images_seen": model.images_seen,
            "round": model.rounds,
            "alarm": name,
            "reason": reason,
            "action": action,
            "healthy": healthy or None,
        }
        assert self.records is not None
        self.records.event(event)
        self.stopped = event if decision == Decision.STOP else None
        remedy = f". What usually helps: {REMEDIES[name]}" if REMEDIES.get(name) else ""
        print(f"ALARM at {model.images_seen:,} images, {name}: {reason}. Action: {action}{remedy}", flush=True)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                with spared("TensorBoard's file", Path(logger.log_dir)):
                    logger.experiment.add_text("alarms", f"**{name}**: {reason}. Action: {action}", model.images_seen)

    @staticmethod
    def _log(trainer: Trainer, model: GAN, values: dict[str, float]) -> None:
        """Log the signals that are not measured per layer or weight, apart from the losses, to all loggers."""
        scalars = {
            f"signals/{name.replace('/', '_')}": value
            for name, value in values.items()
            if name.startswith(("score/", "diversity", "duplicates", "gradient/", "overfitting/", "classes/", "slope/"))
        }
        for logger in trainer.loggers:
            logger.log_metrics(scalars, step=model.images_seen)

    # --- on all ranks ------------------------------------------------------------------------------------------------

    def _carry_out(self, decision: Decision, trainer: Trainer, model: GAN) -> None:
        """Carry out a decision."""
        if decision == Decision.STOP:
            trainer.should_stop = True
        elif decision == Decision.KEEP_CHECKPOINT:
            self.healthy.keep(trainer, model)
        elif decision == Decision.ROLL_BACK:
            self._roll_back(trainer, model)

    def _roll_back(self, trainer: Trainer, model: GAN) -> None:
        """Restore the model and the state of the readings from the healthy checkpoint, and set the learning rates."""
        name = trainer.strategy.broadcast(self.healthy.confirmed)
        state = roll_back(trainer, model, RunFolder(Path(trainer.default_root_dir)).healthy_checkpoint(name))
        self.lowered *= self.lr_drop if self.rolled_back else 1.0
        self.rolled_back, self.rolled_back_in = self.rolled_back + 1, model.rounds
        self._set_learning_rates(model)
        model.can_roll_back &= self._rolls_back()
        assert self._observer is not None
        saved = state["callbacks"].get(self.state_key, {})
        if saved:
            self._observer.load_state_dict(saved["observer"])
            self.baselines.load_state_dict(saved["habits"])
        self.active, self.full_only = {}, set()
        self.healthy.after_rollback(model.rounds)

    def _rolls_back(self) -> bool:
        """Check whether the next alarm leads to a rollback, provided that there is a healthy checkpoint."""
        return self.action == "rollback" and self.rolled_back < self.rollbacks

    def _set_learning_rates(self, model: GAN) -> None:
        """Set the factor on the next round's learning rates, which rises from 0 to `lowered` after a rollback."""
        if self.rolled_back:
            rounds_since = model.rounds + 1 - self.rolled_back_in
            model.lr_factor = self.lowered * min(1.0, rounds_since / REGAIN_ROUNDS)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state of later readings and decisions: tensors and plain values."""
        if self._observer is None:
            return self._restored
        if self.records is not None:
            self.records.flush()
        return {
            "habits": self.baselines.state_dict(),
            "observer": self._observer.state_dict(),
            "ringing": dict(self.active),
            "rolled_back": self.rolled_back,
            "rolled_back_in": self.rolled_back_in,
            "read_at": self._read_at,
            "lowered": self.lowered,
            "healthy": self.healthy.state_dict(),
            "lasting": sorted(self.full_only),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Store a `state_dict` until training starts, when it is restored."""
        self._restored = state_dict

    def _restore(self, model: GAN, state: dict[str, Any], folder: Path) -> None:
        if not state:
            return
        assert self._observer is not None
        self.baselines.load_state_dict(state["habits"])
        self._observer.load_state_dict(state["observer"])
        self.active, self._read_at = dict(state["ringing"]), int(state["read_at"])
        self.rolled_back, self.rolled_back_in = int(state["rolled_back"]), int(state.get("rolled_back_in", 0))
        self.lowered, self.full_only = float(state.get("lowered", 1.0)), set(state.get("lasting", ()))
        self.healthy.load_state_dict(state["healthy"], folder)
        self._restored = {}
