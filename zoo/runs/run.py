"""Train by a recipe, in a run folder. In order, `zoo.fit` does the following.

1. If a run is resumed: find the checkpoint (`find_start`).
2. Load and check the recipe, or that of the resumed run, with the overrides; decide the run folder and the precision
   (`plan_run`). Nothing is built and nothing is written before this has succeeded.
3. Create the run folder and claim it: at most one run writes into a folder (`zoo.io.claims`).
4. Seed torch with the recipe's seed. Build the data source and the callbacks, read the data, build the model.
5. Copy the weights of `pretrained`, or check that the checkpoint to resume from fits the model.
6. Create Lightning's trainer; on a CPU choose the number of threads by a trial (`zoo.runs.threads`); train.
7. When all processes have started: use the run folder of rank 0 in all of them, write the recipe and the environment,
   and move away checkpoints that are newer than the one the run is resumed from (`RunRecorder`).
8. When training ends: record how long it took and how many images were seen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, overload

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger

from zoo.callbacks import Alarms, MetricsTable, RunProgress, SaveEvery, StopAt, StopOnSignal
from zoo.callbacks.tensorboard import TensorBoardFiles
from zoo.config.recipe import Recipe
from zoo.data import Images
from zoo.errors import LostProcessError, UserError, first_line
from zoo.gan import GAN
from zoo.io.checkpoints import CheckpointFiles, load_weights, read_checkpoint
from zoo.io.files import with_home
from zoo.io.run_folder import TENSORBOARD, RunFolder, run_of
from zoo.runs.changes import note_early_end
from zoo.runs.checking import check_model
from zoo.runs.claiming import claimed_folder, default_folder, refuse_folder_of_run
from zoo.runs.durations import PHOTOS, refuse_group_of_plan, refuse_hours_of_resumed
from zoo.runs.finetuning import recipe_of, start_from
from zoo.runs.finishing import finished_line
from zoo.runs.groups import asked_group
from zoo.runs.hours import planned_overrides
from zoo.runs.loggers import build_loggers, quiet_lightning
from zoo.runs.opening import load_run
from zoo.runs.photos.plan import PhotoPlan, plan_photos
from zoo.runs.recipe_text import NO_RECIPE
from zoo.runs.recipes import load_recipe
from zoo.runs.recorder import RunRecorder
from zoo.runs.resuming import check_optimizers, find_start, restored_from, resumed_recipe
from zoo.runs.stage_costs import growing_costs
from zoo.runs.threads import chosen_threads
from zoo.runs.verdict_callback import SayVerdict
from zoo.training.clock import progress_of
from zoo.training.hardware import choose_precision, choose_strategy
from zoo.training.processes import check_processes, describe_lost_process, refuse_several

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from zoo.runs.typed_settings import Overrides


@dataclass(frozen=True, repr=False)
class Run:
    """The result of `fit`.

    Args:
        model: the trained model.
        folder: the run folder, with recipe, checkpoints, samples and metrics.
        recipe: the recipe as it ran.
        stopped_by: number of the signal that ended the run early, or None.
        seconds: duration of the training, without reading data, building networks, and starting further processes.
        alarm: event of `Alarms` that ended the run early, or None.
    """

    model: GAN
    folder: Path
    recipe: Recipe
    stopped_by: int | None
    seconds: float
    alarm: dict[str, Any] | None = None

    def __repr__(self) -> str:
        """Return one line: the model and its images, without its layers and settings."""
        end = f", stopped by signal {self.stopped_by}" if self.stopped_by else ""
        end += f", stopped by the alarm {self.alarm['alarm']!r}" if self.alarm else ""
        seen = f"{type(self.model).__name__} after {self.model.images_seen:,} of {self.recipe.images:,} images"
        return f"<Run of {self.recipe.name}: {seen} in {self.seconds:,.0f} s{end}, in {self.folder}>"


@overload
def fit(
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seeds: None = None,
    hours: float | None = None,
    **overrides: Unpack[Overrides],
) -> Run: ...


@overload
def fit(
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seeds: Sequence[int],
    **overrides: Unpack[Overrides],
) -> list[Run]: ...


def fit(
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seeds: Sequence[int] | None = None,
    hours: float | None = None,
    **overrides: Unpack[Overrides],
) -> Run | list[Run]:
    """Train by a recipe, once or for several seeds.

    Args:
        recipe: name or path of the recipe; may be left out if a run is resumed.
        out: the run folder; by default `runs/RECIPE/TIME`.
        resume: a run folder or a checkpoint to continue, or "auto" for the newest run of this recipe, or a new run if
            there is none; with `seeds`, the folder of a group.
        seeds: seeds of several runs, which are trained one after another in folders below `out`, such as `seed=0`.
        hours: length of the run in hours instead of `images`, see `zoo.runs.hours`; without `seeds` only.
        overrides: sections or values that replace those of the recipe, such as `images=20_000` or
            `model={"width": 32}`; `pretrained="biggan_fashion"` starts from those weights.

    Returns:
        The run; with `seeds`, a list of one run for each.

    Raises:
        UserError: for faults of recipe, data or checkpoint.
        NonFiniteLossError: if training diverges; the last good checkpoint stays.
    """
    if seeds is None:
        return _fit(recipe, out=out, resume=resume, hours=hours, overrides=overrides)
    refuse_group_of_plan(recipe, hours)
    group = asked_group(
        load_recipe, recipe, resume=resume, out=out, seeds=seeds, overrides=overrides, with_commas=False
    )
    assert group is not None  # that seeds are given makes it one
    refuse_several(load_recipe(group.recipe, group.overrides).trainer, "a group of runs")
    with group.claimed() as claimed:
        return [_fit(**claimed.options(name)) for name in claimed.names]


def _fit(recipe: str | Path | None = None, **options: Any) -> Run:
    """Train one run; the options are those of `plan_run`."""
    with quiet_lightning():
        plan = plan_run(recipe, **options)
        plan.print_notes()
        with plan.claimed() as claimed:
            return claimed.run()


# --- the plan --------------------------------------------------------------------------------------------------------


def plan_run(
    recipe: str | Path | None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    hours: float | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """Check everything that `fit` was asked for, without building anything; the arguments are those of `fit`.

    Raises:
        UserError: for faults of the recipe, or if there is nothing to resume.
    """
    overrides = dict(overrides or {})
    refuse_hours_of_resumed(hours, resume)
    start = None if resume is None else find_start(recipe, resume)
    planned = None
    if start is None:
        checked, folder, planned = _plan_new_run(recipe, out, overrides, hours)
    else:
        checked, folder = _plan_resumed_run(recipe, out, overrides, start)
    checked.notes.extend(note_early_end(checked))
    check_processes(checked.trainer)
    checked.trainer["precision"] = choose_precision(checked.trainer)
    return Plan(checked, folder, start, is_default_folder=start is None and out is None, photos=planned)


def _plan_new_run(
    recipe: str | Path | None, out: str | Path | None, overrides: Mapping[str, Any], hours: float | None
) -> tuple[Recipe, Path, PhotoPlan | None]:
    """Load the recipe of a new run, plan its hours, and choose the run folder, which must not contain a run."""
    if recipe is None and overrides.get("pretrained"):
        recipe = recipe_of(str(overrides["pretrained"]))
    if recipe is None:
        raise UserError(NO_RECIPE)
    folder = None if out is None else with_home(out)
    if folder is not None:
        refuse_folder_of_run(folder)
    planned = None
    if str(recipe) == PHOTOS:
        planned = plan_photos(partial(load_recipe, recipe), overrides, hours)
        checked = planned.recipe
    elif hours is None:
        checked = load_recipe(recipe, overrides)
    else:
        overrides, note = planned_overrides(partial(load_recipe, recipe), overrides, hours)
        checked = load_recipe(recipe, overrides)
        checked.notes.append(note)
    return checked, folder or default_folder(checked.name), planned


def _plan_resumed_run(
    recipe: str | Path | None, out: str | Path | None, overrides: Mapping[str, Any], start: Path
) -> tuple[Recipe, Path]:
    """Load the recipe of the run that contains the checkpoint `start`; a recipe that is also named must be the same."""
    if out is not None:
        raise UserError("out=FOLDER and resume= exclude each other: a resumed run goes on in its own folder")
    run = run_of(start)
    checked = resumed_recipe(run, overrides)
    if recipe is not None and Path(recipe).stem not in (checked.name, run.recipe.stem):
        raise UserError(
            f"{run.path} is a run of {checked.name}, not of {Path(recipe).stem}. Leave recipe= out to go on with "
            "it, or resume= to start a new run"
        )
    return checked, run.path


@dataclass(frozen=True)
class Plan:
    """A checked run that has not begun.

    Args:
        recipe: the recipe with every override and a definite precision.
        folder: the run folder, which need not exist.
        start: the checkpoint to resume from; None for a new run.
        is_default_folder: whether the folder has a default name, and gets a suffix if that is taken.
        photos: the plan of `recipe=photos`, or None.
    """

    recipe: Recipe
    folder: Path
    start: Path | None
    is_default_folder: bool = False
    photos: PhotoPlan | None = None

    @cached_property
    def finished(self) -> str | None:
        """The line that says that the run is finished, so that nothing is to be done; None otherwise."""
        return finished_line(self.folder, self.start, self.recipe.images)

    @contextmanager
    def claimed(self) -> Iterator[Plan]:
        """Create the run folder and hold the claim of it while the block runs, on rank 0; other ranks share the claim.

        Yields:
            The plan, in a folder with a suffix if the default name was taken.

        Raises:
            UserError: if another process trains in the folder, or it cannot be written.
        """
        if not is_rank_zero():
            yield self
            return
        with claimed_folder(self.folder, self.is_default_folder) as folder:
            if self.start is None:
                refuse_folder_of_run(folder)  # again: another process may have written it since
            yield replace(self, folder=folder)

    def print_notes(self, file: TextIO | None = None) -> None:
        """Print the decisions made on the user's behalf, on rank 0, to standard output or another file."""
        if self.photos is not None and is_rank_zero():
            print(self.photos.text, file=file or sys.stdout, flush=True)
        for note in self.recipe.notes if is_rank_zero() else []:
            print(f"note: {note}", file=file or sys.stdout, flush=True)

    def run(self) -> Run:
        """Read the data, build the model, and train.

        Raises:
            UserError: if data, weights, run folder or trainer arguments cannot be used.
            NonFiniteLossError: if training diverges.
            LostProcessError: if another process of the run is gone.
        """
        recipe = self.recipe
        if self.finished:
            assert self.start is not None
            print(self.finished, flush=True)
            return Run(load_run(self.start), self.folder, recipe, None, 0.0)
        check_model(recipe)
        if self.photos is not None and is_rank_zero():
            self.photos.write(RunFolder(self.folder).plan)
        loggers = build_loggers(recipe, self.folder)
        torch.manual_seed(recipe.seed)  # determines the initial weights
        data = recipe.data.build()
        # A checkpoint has to contain the state of all other callbacks after the same round, so SaveEvery comes last.
        callbacks = sorted((part.build() for part in recipe.callbacks.values()), key=lambda c: isinstance(c, SaveEvery))
        if is_rank_zero():  # the other processes wait in Lightning until rank 0 has filled the cache
            data.prepare_data()
            data.setup("fit")
            if isinstance(data, Images):
                recipe.data.arguments.update(data.found_settings())
                print("\n".join([data.describe(), *(f"note: {note}" for note in data.notes())]), flush=True)
        model = recipe.model.build()
        pretrained = self._load_pretrained(model)
        images_seen = self._check_start(model)
        stop = StopOnSignal()
        recorder = RunRecorder(self.folder, recipe, self.start, pretrained)
        progress = RunProgress(recipe.images)
        own = [recorder, StopAt(recipe.images), stop, progress]
        trainer = self._trainer([*own, *callbacks, SayVerdict()], images_seen, loggers)
        began, is_complete = time.monotonic(), False
        try:
            with chosen_threads(recipe, model, data, self.start) as choice, restored_from(self.start):
                if choice.reason and is_rank_zero():
                    print(choice.reason, flush=True)
                progress.stages = growing_costs(recipe, model, data, self.photos.costs if self.photos else None)
                recorder.before = time.monotonic() - began
                trainer.fit(model, datamodule=data, ckpt_path=self.start, weights_only=True)
            trainer.strategy.barrier()  # Lightning kills rank 0 if another process exits first with a code other than 0
            is_complete = stop.received is None and model.progress >= recipe.images
        except RuntimeError as error:
            if lost := describe_lost_process(error, trainer):
                raise LostProcessError(
                    f"{lost}. Go on from the last checkpoint: python -m zoo.fit resume={recorder.folder}"
                ) from error
            raise
        finally:
            if is_rank_zero():
                recorder.record_end(model, is_complete)
        alarm = next((callback.stopped for callback in callbacks if isinstance(callback, Alarms)), None)
        return Run(model, recorder.folder, recipe, stop.received, recorder.seconds, alarm)

    def _load_pretrained(self, model: GAN) -> dict[str, Any] | None:
        """Start from the weights that the recipe names, and print which.

        Returns:
            The record for the run folder; None if the recipe names no weights, or a run is resumed.

        Raises:
            UserError: if the weights cannot be found or do not fit.
        """
        if not self.recipe.pretrained or self.start is not None:  # a resumed run has weights of its own
            return None
        start = start_from(model, self.recipe.pretrained)
        if is_rank_zero():
            print(f"pretrained: {start.describe()}", flush=True)
            if (first := model.data_resolution(0)) < model.resolution:
                print(f"note: training begins at {first} px; model.initial_resolution={model.resolution} begins grown")
        return start.record()

    def _check_start(self, model: GAN) -> int:
        """Check that the checkpoint to resume from fits the model.

        Returns:
            Images seen at the checkpoint; 0 for a new run.

        Raises:
            CheckpointError: if the checkpoint belongs to another architecture, or lacks the state of an optimizer.
        """
        if self.start is None:
            return 0
        state = read_checkpoint(self.start)
        load_weights(model, state, self.start)
        check_optimizers(state, [player.name for player in model.players()], self.start)
        if progress_of(state["zoo"]) >= self.recipe.images and is_rank_zero():
            print(f"{self.folder} has all its images; what was to follow the last checkpoint is done now", flush=True)
        return int(state["zoo"]["images_seen"])

    def _trainer(self, callbacks: list[Callback], images_seen: int, loggers: Sequence[Logger] = ()) -> Trainer:
        """Build Lightning's trainer, without the parts of it that would replace the clock.

        Args:
            callbacks: all callbacks, in the order in which they act.
            images_seen: images seen at the start; later values in logs of a resumed run are removed.
            loggers: loggers beside the run's own CSV and TensorBoard files.

        Raises:
            UserError: if Lightning refuses an argument of the recipe.
        """
        purge: dict[str, Any] = {"purge_step": images_seen} if images_seen else {}
        tensorboard = TensorBoardFiles(self.folder, name=TENSORBOARD, version="", **purge)
        try:
            return Trainer(
                strategy=choose_strategy(self.recipe.trainer),
                default_root_dir=self.folder,
                max_epochs=-1,
                callbacks=callbacks,
                logger=[MetricsTable(self.folder, resumed_at=images_seen), tensorboard, *loggers],
                plugins=[CheckpointFiles()],
                enable_checkpointing=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                num_sanity_val_steps=0,
                **{key: value for key, value in self.recipe.trainer.items() if key not in ("strategy", "threads")},
            )
        except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"trainer: Lightning refuses these arguments: {first_line(error)}") from error


def is_rank_zero() -> bool:
    """Return whether this process writes and prints: the only process, or rank 0 of several."""
    return not getattr(rank_zero_only, "rank", 0)
