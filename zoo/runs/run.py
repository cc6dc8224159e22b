"""A run: a recipe at work in a folder of its own. Start it, resume it, load what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from zoo.callbacks import Alarms, MetricsTable, RunProgress, SaveEvery, StopAt, StopOnSignal
from zoo.config.recipe import Recipe
from zoo.errors import UserError, first_line
from zoo.gan import GAN
from zoo.io.checkpoints import CheckpointFiles, load_weights, read_checkpoint
from zoo.io.environment import environment
from zoo.io.run_folder import TENSORBOARD, RunFolder, checkpoints_in, run_of
from zoo.runs.recipes import load_recipe
from zoo.runs.resuming import _resumed_recipe, find_start
from zoo.training.clock import progress_of
from zoo.training.hardware import choose_precision, choose_strategy

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from zoo.runs.typed_settings import Overrides


@dataclass(frozen=True)
class Run:
    """What `fit` leaves behind.

    Args:
        model: as trained.
        folder: recipe, checkpoints, samples and metrics.
        recipe: as it ran.
        stopped_by: the signal that ended it early, or None.
        alarm: the event of `Alarms` that ended it early, or None.
        seconds: of training, without reading data and building networks.
    """

    model: GAN
    folder: Path
    recipe: Recipe
    stopped_by: int | None
    seconds: float
    alarm: dict[str, Any] | None = None


def fit(
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    **overrides: Unpack[Overrides],
) -> Run:
    """Train by a recipe.

    Args:
        recipe: name or path; may be left out when a run is resumed. `pretrained="biggan_fashion"` among the overrides
            starts from those weights.
        out: the run's folder; by default `runs/RECIPE/TIME`.
        resume: a run folder or a checkpoint to go on with, or "auto": the newest run of this recipe, or a new run if
            there is none.
        overrides: sections or values in place of the recipe's, such as `images=20_000` or `model={"width": 32}`.

    Raises:
        UserError: for faults of recipe, data or checkpoint.
        NonFiniteLossError: when training diverges; the last good checkpoint stays.
    """
    plan = plan_run(recipe, out=out, resume=resume, overrides=overrides)
    return plan.run()


def plan_run(
    recipe: str | Path | None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """Read and check everything that `fit` was asked, without building anything.

    Raises:
        UserError: for faults of the recipe, or when there is nothing to resume.
    """
    changes = dict(overrides or {})
    start = find_start(recipe, resume) if resume is not None else None
    if start is None:
        if recipe is None:
            raise UserError("name a recipe, such as recipe=dcgan_digits; `python -m zoo` lists them")
        checked = load_recipe(recipe, changes)
        folder = Path(out) if out is not None else _new_folder(checked.name)
        if checkpoints_in(folder):
            raise UserError(
                f"{folder} already holds a run; resume={folder} goes on with it, or choose another out=FOLDER"
            )
    else:
        if out is not None:
            raise UserError("out=FOLDER and resume= exclude each other: a resumed run goes on in its own folder")
        folder = run_of(start).path
        checked = _resumed_recipe(folder, changes)
        if recipe is not None and Path(recipe).stem not in (checked.name, "recipe"):
            raise UserError(
                f"{folder} is a run of {checked.name}, not of {Path(recipe).stem}. Leave recipe= out to go on with "
                "it, or resume= to start a new run"
            )
    checked.trainer["precision"] = choose_precision(checked.trainer)
    return Plan(checked, folder, start)


@dataclass(frozen=True)
class Plan:
    """A checked run that has not begun.

    Args:
        recipe: with every override and a definite precision.
        folder: of the run.
        start: the checkpoint to go on from, or None.
    """

    recipe: Recipe
    folder: Path
    start: Path | None

    def run(self) -> Run:
        """Read the data, build the model, train."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)  # decides the initial weights
        data = recipe.data.build()
        # A checkpoint shall hold what the others have learnt from the same round, so who saves comes last.
        callbacks = sorted((part.build() for part in recipe.callbacks.values()), key=lambda c: isinstance(c, SaveEvery))
        if is_rank_zero():  # the others are told by Lightning when the first has put everything into the cache
            data.prepare_data()
            data.setup("fit")
        model = recipe.model.build()
        pretrained, seen = self._begin_with_trained(model), 0
        if self.start is not None:
            state = read_checkpoint(self.start)
            load_weights(model, state, self.start)
            seen, progress = state["zoo"]["images_seen"], progress_of(state["zoo"])
            if progress >= recipe.images:
                raise UserError(
                    f"{self.folder} is finished: {progress:,} of {recipe.images:,} images. Give a larger images=NUMBER "
                    "to train on"
                )
        try:
            if is_rank_zero():
                self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"out: cannot write {self.folder}: {error.strerror or error}") from error
        stop = StopOnSignal()
        first = RunRecorder(self, pretrained)
        trainer = self._trainer([first, StopAt(recipe.images), stop, RunProgress(recipe.images), *callbacks], seen)
        began = time.monotonic()
        try:
            trainer.fit(model, datamodule=data, ckpt_path=self.start, weights_only=True)
            trainer.strategy.barrier()  # Lightning kills the first process when another ends, if only with an exit code
        finally:
            if is_rank_zero():
                first.ended(time.monotonic() - began, model)
        alarm = next((callback.stopped for callback in callbacks if isinstance(callback, Alarms)), None)
        return Run(model, first.folder, recipe, stop.received, time.monotonic() - began, alarm)

    def _begin_with_trained(self, model: GAN) -> dict[str, Any] | None:
        """Start from the weights that the recipe names; what is recorded of them, or None.

        Raises:
            UserError: when they are not there or do not fit.
        """
        if not self.recipe.pretrained or self.start is not None:  # a resumed run has weights of its own
            return None
        from zoo.runs.finetuning import start_from  # here, because a release may be a run's folder

        start = start_from(model, self.recipe.pretrained)
        if is_rank_zero():
            print(f"pretrained: {start.describe()}", flush=True)
            if (begins := model.data_resolution(0)) < model.resolution:
                print(f"note: training begins at {begins} px; model.initial_resolution={model.resolution} begins grown")
        return start.record()

    def _trainer(self, callbacks: list[Callback], seen: int) -> Trainer:
        """Lightning's trainer, set up so that the clock decides everything.

        Raises:
            UserError: when Lightning refuses an argument of the recipe.
        """
        purge: dict[str, Any] = {"purge_step": seen} if seen else {}
        board = TensorBoardLogger(self.folder, name=TENSORBOARD, version="", **purge)
        others = [part.build() for part in self.recipe.loggers.values()]
        try:
            return Trainer(
                strategy=choose_strategy(self.recipe.trainer),
                default_root_dir=self.folder,
                max_epochs=-1,
                callbacks=callbacks,
                logger=[MetricsTable(self.folder, resumed_at=seen), board, *others],
                plugins=[CheckpointFiles()],
                enable_checkpointing=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                num_sanity_val_steps=0,
                **{key: value for key, value in self.recipe.trainer.items() if key != "strategy"},
            )
        except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"trainer: Lightning refuses these arguments: {first_line(error)}") from error

    def record(self, pretrained: dict[str, Any] | None) -> None:
        """Write the resolved recipe, what it runs on and what it started from into the run folder."""
        RunFolder(self.folder).recipe.write_text(
            f"# A run of {self.recipe.name}, every default written out. Again: python -m zoo.fit recipe=THIS_FILE\n"
            + self.recipe.to_yaml()
        )
        record = {
            "recipe": self.recipe.name,
            "started": datetime.now().astimezone().isoformat(timespec="seconds"),
            "resumed_from": None if self.start is None else self.start.name,
            "pretrained": pretrained,
            "command": sys.argv,
            **environment(),
        }
        RunFolder(self.folder).record_start(record)

    def set_aside(self) -> None:
        """Where a run goes on from before its end: move what came after out of the way, into `checkpoints/left/`."""
        if self.start is None:
            return
        for path in checkpoints_in(self.folder):
            if path.stem > self.start.stem:
                left = RunFolder(self.folder).set_aside(path)
                print(f"set aside: {left}, which is of after the point where the run goes on")


class RunRecorder(Callback):
    """Once all processes are there: the first one's folder is everyone's, and it alone writes down what runs.

    Not earlier, so that no process plans its run from what another has begun to write.

    Args:
        plan: of this process, whose folder may be named by another second of the clock.
        pretrained: what is recorded of the weights it started from.
    """

    def __init__(self, plan: Plan, pretrained: dict[str, Any] | None) -> None:
        self.plan, self.pretrained, self.folder, self.begun = plan, pretrained, plan.folder, False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Agree on the folder."""
        self.folder = Path(trainer.strategy.broadcast(str(self.folder)))
        if not trainer.is_global_zero:  # nothing is written here, but callbacks may read
            setattr(trainer, "_default_root_dir", str(self.folder))  # noqa: B010 - Lightning offers no setter

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the run, now that nothing of it was refused: a run keeps its recipe when resuming it fails."""
        if trainer.is_global_zero:
            self.plan.record(self.pretrained)
            self.plan.set_aside()
            self.begun = True

    def ended(self, seconds: float, model: GAN) -> None:
        """Record an end that was no kill, and of which start."""
        if self.begun:
            start = len(RunFolder(self.folder).starts())
            end = {"seconds": round(seconds, 1), "images_seen": model.images_seen, "start": start}
            RunFolder(self.folder).record_end(end)


def is_rank_zero() -> bool:
    """Whether this is the process that writes and speaks: the only one, or rank 0."""
    return not getattr(rank_zero_only, "rank", 0)


def _new_folder(recipe: str) -> Path:
    """`runs/RECIPE/TIME`; of several processes the first one's counts."""
    return Path("runs") / recipe / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
