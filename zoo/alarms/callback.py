"""Watch a run, ring when it breaks, and act."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.optim import Optimizer

from zoo.alarms.healthy import HealthyCheckpoints, roll_back
from zoo.alarms.named import ALARMS
from zoo.alarms.observe import Observer
from zoo.alarms.reading import Habits, Reading
from zoo.alarms.records import Records
from zoo.errors import FeatureError, did_you_mean, require_at_least
from zoo.features import extractor
from zoo.gan import GAN
from zoo.io.files import digest_of_values
from zoo.io.run_folder import RunFolder
from zoo.training.batch import Batch
from zoo.training.clock import crossed
from zoo.training.replicas import Replicas

Action = Literal["warn", "stop", "rollback"]
FULL_READINGS = 25
"""Where nothing else is said, every so many quick readings a full one."""
QUIET_READINGS = 16
"""An alarm that has been silent for so many readings may ring anew."""
REGAIN_ROUNDS = 100
"""After a rollback, rounds over which learning rates rise from 0: what broke the run may not be over yet."""
NOTHING, KEEP, STOP, ROLL_BACK = range(4)


class Alarms(Callback):
    """Reads signals of both networks every few rounds, tells when one leaves the run's own habits, and acts.

    What is read: `zoo/alarms/observe.py`; which alarms there are: `zoo/alarms/named.py`; what they look like:
    `docs/alarms.md`. Training is left untouched to the last bit unless an alarm makes the callback act.

    In the run folder: `alarms/events.jsonl`, one line for each alarm with its reason, and `alarms/signals.jsonl`, the
    signals over time; `healthy/IMAGES.ckpt`, if kept. Loggers get `signals/...`, TensorBoard the events as text. The
    first of several processes watches, all of them act.

    Args:
        every: images between full readings (singular values, held-out images, Adam's updates); 0 makes every 25th quick
            one a full one.
        rounds: between quick readings. The one interval that counts batches: a collapse takes about a dozen of them,
            however large they are.
        action: when an alarm rings: `warn`; `stop` the run; or `rollback`, which puts networks, average and optimizers
            back to the last checkpoint judged healthy. The clock goes on, so images and latents after it are other ones
            than those that led to the alarm, and learning rates rise from 0 over 100 rounds. Where that does not help,
            the next rollback lowers them. Rounds undone do not count: schedules and growth go back with the networks,
            and the run becomes as much longer.
        keep_healthy: keep that checkpoint also with `warn` and `stop`. Healthy means that no alarm rang for 160 rounds
            after it.
        rollbacks: at most so many; the alarm after the last one stops the run.
        lr_drop: what every rollback after the first multiplies all learning rates by; 1 for no drop.
        ignore: names of alarms that shall not ring.
        classifier: an extractor with classes, such as `digits`, whose class shares of generated images are a signal.
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
        self.alarms = {name: look for name, look in ALARMS.items() if name not in ignore}
        self.habits = Habits()
        self.healthy = HealthyCheckpoints()
        self.rolled_back = 0
        self.rolled_back_in = 0  # round of the latest
        self.lowered = 1.0  # what rollbacks have multiplied rates by
        self.stopped: dict[str, Any] | None = None  # the event that ended the run
        self.ringing: dict[str, int] = {}  # alarm -> the last round in which it rang
        self.lasting: set[str] = set()  # alarms that the latest full reading showed, and quick ones cannot
        self._read_at = 0  # images seen at the last quick reading
        self.records: Records | None = None  # of the first process
        self._observer: Observer | None = None
        self._restored: dict[str, Any] = {}

    # --- when --------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the fixed inputs; go on where a checkpoint stopped."""
        assert isinstance(pl_module, GAN)
        self._players = {
            id(optimizer): (player.name, pl_module.trained_parameters(player.name))
            for player, optimizer in zip(pl_module.players(), trainer.optimizers)
        }
        network = extractor(self.classifier).to(pl_module.device) if self.classifier else None
        if network is not None and network.logits_width == 0:
            raise FeatureError(f"Alarms.classifier: extractor {self.classifier} has no classes; `digits` has")
        self._observer = Observer(pl_module, getattr(trainer, "datamodule", None), classifier=network)
        if trainer.is_global_zero:
            self.records = Records(RunFolder(Path(trainer.default_root_dir)), pl_module.images_seen)
        self._load(pl_module, self._restored, Path(trainer.default_root_dir))
        self._set_rates(pl_module)
        pl_module.can_roll_back = self._rolls_back() and "not finite" in self.alarms

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Gradients are final here; clipping comes after."""
        if self._observer is not None and self._observer.awaited and trainer.is_global_zero:
            self._observer.on_step(*self._players[id(optimizer)])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read when it is time."""
        assert isinstance(pl_module, GAN)
        assert self._observer is not None
        if self._observer.fixed.wanting(pl_module):
            self._observer.fixed.first_batch(Batch.of(batch))
        self._set_rates(pl_module)
        if pl_module.rounds % self.rounds == 0 and not self._observer.fixed.wanting(pl_module):
            wish = self._watch(trainer, pl_module) if trainer.is_global_zero else NOTHING
            if isinstance(trainer.strategy, Replicas):
                wish = trainer.strategy.largest(wish)
            self._obey(wish, trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what has not been written."""
        if self.records is not None:
            self.records.flush()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the readings before the end."""
        self.on_train_end(trainer, pl_module)

    # --- what the first process does ---------------------------------------------------------------------------------

    def _watch(self, trainer: Trainer, model: GAN) -> int:
        """Take a reading, report alarms that begin to ring, and say what all processes shall do."""
        assert self._observer is not None
        assert self.records is not None
        quick = self._observer.quick(trainer, model)
        full = self._observer.full(trainer, model) if self._full_is_due(model) else {}
        now = self.habits.read(quick, self._stage(model, quick), full)
        found = {name: why for name, look in self.alarms.items() if (why := look(now))}
        new = {name: why for name, why in found.items() if name not in self.ringing}
        if new and not full:  # names what else has changed, and is there to be looked at
            full = self._observer.full(trainer, model)
            now = self.habits.read({}, self.habits.stage, full)
            more = {name: why for name, look in self.alarms.items() if name not in found and (why := look(now))}
            found, new = {**found, **more}, {**new, **{n: w for n, w in more.items() if n not in self.ringing}}
        if full:  # what only full readings show is taken to last from one to the next
            without = Reading(quick, self.habits.tracks)
            self.lasting = {name for name in found if not self.alarms[name](without)}
        self.ringing |= dict.fromkeys({*found, *self.lasting}, model.rounds)
        quiet = model.rounds - QUIET_READINGS * self.rounds
        self.ringing = {name: last for name, last in self.ringing.items() if last > quiet}
        kind = "alarm" if new else "full" if full else "quick"
        self.records.signals(model.images_seen, model.rounds, model.rounds // self.rounds, {**quick, **full}, kind)
        if full:
            self._log(trainer, model, {**quick, **full})
        wish = self._wish(model, bool(new))
        if new:
            self.healthy.alarmed()
        for name, why in new.items():
            self._report(trainer, model, name, why, wish)
        return wish

    def _wish(self, model: GAN, alarmed: bool) -> int:
        if alarmed and self.action != "warn":
            return ROLL_BACK if self._rolls_back() and self.healthy.confirmed else STOP
        self.healthy.judge(model.rounds, bool(self.ringing), QUIET_READINGS * self.rounds)
        return KEEP if self.keep_healthy and self.healthy.due(model.rounds, bool(self.ringing)) else NOTHING

    def _full_is_due(self, model: GAN) -> bool:
        before, self._read_at = self._read_at, model.images_seen
        if self.every:
            return crossed(before, model.images_seen, self.every)
        return model.rounds % (FULL_READINGS * self.rounds) == 0

    @staticmethod
    def _stage(model: GAN, values: dict[str, float]) -> str:
        """What decides how large signals are in health: the images' size and the layers in use."""
        layers = sorted(name for name in values if name.startswith("activation/"))
        return digest_of_values(model.data_resolution(model.progress), layers)

    def _report(self, trainer: Trainer, model: GAN, name: str, why: str, wish: int) -> None:
        kept = self.healthy.confirmed
        does = {STOP: "stop", ROLL_BACK: f"rollback to {kept}"}.get(wish, "warn")
        if wish == STOP and self.action == "rollback":
            does = "stop, the rollbacks are used up" if kept else "stop, no state has been judged healthy yet"
        event = {
            "images_seen": model.images_seen,
            "round": model.rounds,
            "alarm": name,
            "reason": why,
            "action": does,
            "healthy": kept or None,
        }
        assert self.records is not None
        self.records.event(event)
        self.stopped = event if wish == STOP else None
        print(f"ALARM at {model.images_seen:,} images, {name}: {why}. Action: {does}", flush=True)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("alarms", f"**{name}**: {why}. Action: {does}", model.images_seen)

    @staticmethod
    def _log(trainer: Trainer, model: GAN, values: dict[str, float]) -> None:
        """The signals that are one number for the whole game."""
        few = {
            f"signals/{name.replace('/', '_')}": value
            for name, value in values.items()
            if name.startswith(("score/", "diversity", "duplicates", "gradient/", "overfitting/", "classes/", "slope/"))
        }
        for logger in trainer.loggers:
            logger.log_metrics(few, step=model.images_seen)

    # --- what all processes do ---------------------------------------------------------------------------------------

    def _obey(self, wish: int, trainer: Trainer, model: GAN) -> None:
        if wish == STOP:
            trainer.should_stop = True
        elif wish == KEEP:
            self.healthy.keep(trainer, model)
        elif wish == ROLL_BACK:
            where = trainer.strategy.broadcast(self.healthy.confirmed)
            healthy = RunFolder(Path(trainer.default_root_dir)).healthy_checkpoint(where)
            state = roll_back(trainer, model, healthy)
            self.lowered *= self.lr_drop if self.rolled_back else 1.0
            self.rolled_back, self.rolled_back_in = self.rolled_back + 1, model.rounds
            self._set_rates(model)
            model.can_roll_back &= self._rolls_back()
            assert self._observer is not None
            mine = state["callbacks"].get(self.state_key, {})
            if mine:
                self._observer.load_state_dict(mine["observer"])
                self.habits.load_state_dict(mine["habits"])
            self.ringing, self.lasting = {}, set()
            self.healthy.after_rollback(model.rounds)

    def _rolls_back(self) -> bool:
        """Whether the next alarm leads to a rollback, if a state has been judged healthy: the first process knows."""
        return self.action == "rollback" and self.rolled_back < self.rollbacks

    def _set_rates(self, model: GAN) -> None:
        """Learning rates of the next round: rising again after the latest rollback, lowered by those before it."""
        if self.rolled_back:
            since = model.rounds + 1 - self.rolled_back_in
            model.lr_factor = self.lowered * min(1.0, since / REGAIN_ROUNDS)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What later readings and decisions depend on; tensors and plain values."""
        if self._observer is None:
            return self._restored
        if self.records is not None:
            self.records.flush()
        return {
            "habits": self.habits.state_dict(),
            "observer": self._observer.state_dict(),
            "ringing": dict(self.ringing),
            "rolled_back": self.rolled_back,
            "rolled_back_in": self.rolled_back_in,
            "read_at": self._read_at,
            "lowered": self.lowered,
            "healthy": self.healthy.state_dict(),
            "lasting": sorted(self.lasting),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Kept until training starts, when there is something to put it into."""
        self._restored = state_dict

    def _load(self, model: GAN, state: dict[str, Any], folder: Path) -> None:
        if not state:
            return
        assert self._observer is not None
        self.habits.load_state_dict(state["habits"])
        self._observer.load_state_dict(state["observer"])
        self.ringing, self._read_at = dict(state["ringing"]), state["read_at"]
        self.rolled_back, self.rolled_back_in = state["rolled_back"], state.get("rolled_back_in", 0)
        self.lowered, self.lasting = state.get("lowered", 1.0), set(state.get("lasting", ()))
        self.healthy.load_state_dict(state["healthy"], folder)
        self._restored = {}
