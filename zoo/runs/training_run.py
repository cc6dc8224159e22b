"""A run that is planned, and a run that has ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger

from zoo.callbacks import Alarms, MetricsTable, RunProgress, SaveEvery, StopAt, StopOnSignal
from zoo.callbacks.tensorboard import TensorBoardFiles
from zoo.config.recipe import Recipe
from zoo.data import Images
from zoo.errors import LostProcessError, UserError, first_line, shell_word
from zoo.gan import GAN
from zoo.io.checkpoints import CheckpointFiles, load_weights, read_checkpoint
from zoo.io.run_folder import TENSORBOARD, RunFolder
from zoo.runs.changes import note_early_end
from zoo.runs.checking import check_model
from zoo.runs.claiming import claimed_folder, refuse_folder_of_run
from zoo.runs.finetuning import start_from
from zoo.runs.finishing import finished_line
from zoo.runs.loggers import build_loggers
from zoo.runs.opening import load_run
from zoo.runs.photos.first_look import remove_first_look
from zoo.runs.photos.plan import PhotoPlan
from zoo.runs.recorder import RunRecorder
from zoo.runs.resuming import check_optimizers, restored_from
from zoo.runs.stage_costs import growing_costs
from zoo.runs.threads import chosen_threads
from zoo.runs.verdict_callback import SayVerdict
from zoo.runs.without_effect import note_settings_without_effect
from zoo.training.clock import progress_of
from zoo.training.hardware import choose_precision, choose_strategy
from zoo.training.malloc import keep_freed_memory
from zoo.training.processes import check_processes, describe_lost_process


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


Draft = Callable[[Path | None], PhotoPlan]
"""A function that makes the plan of `recipe=photos`, given the run folder for its first picture, or None."""


@dataclass(frozen=True)
class Plan:
    """A checked run that has not begun.

    Args:
        recipe: the recipe with every override and a definite precision.
        folder: the run folder, which need not exist.
        start: the checkpoint to resume from; None for a new run.
        is_default_folder: whether the folder has a default name, and gets a suffix if that is taken.
        draft: function that plans `recipe=photos`, given the run folder for its first picture, or None for no picture;
            None for an ordinary recipe, and after the plan is made.
        photos: the plan of `recipe=photos`, or None.
    """

    recipe: Recipe
    folder: Path
    start: Path | None
    is_default_folder: bool = False
    draft: Draft | None = None
    photos: PhotoPlan | None = None

    def settled(self, folder: Path | None = None) -> Plan:
        """Return the plan with a definite recipe: of `recipe=photos`, look at the images, measure, and choose.

        Args:
            folder: the run folder, in which the first picture of the images is drawn; None for no picture.

        Raises:
            UserError: for images that nothing can be planned for.
        """
        if self.draft is None:
            return self
        try:
            photos = self.draft(folder)
        except BaseException:
            if folder is not None:  # no run begins in it, and it is to be empty as before
                remove_first_look(RunFolder(folder).real_grid)
            raise
        settle(photos.recipe)
        return replace(self, recipe=photos.recipe, draft=None, photos=photos)

    @cached_property
    def finished(self) -> str | None:
        """The line that says that the run is finished, so that nothing is to be done; None otherwise."""
        return finished_line(self.folder, self.start, self.recipe.images)

    @contextmanager
    def claimed(self) -> Iterator[Plan]:
        """Create the run folder and hold the claim of it while the block runs, on rank 0; other ranks share the claim.

        Yields:
            The plan with a definite recipe, in a folder with a suffix if the default name was taken.

        Raises:
            UserError: if another process trains in the folder, it cannot be written, or nothing can be planned.
        """
        if not is_rank_zero():
            yield self
            return
        with claimed_folder(self.folder, self.is_default_folder) as folder:
            if self.start is None:
                refuse_folder_of_run(folder)  # again: another process may have written it since
            yield replace(self, folder=folder).settled(folder)

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
            keep_freed_memory()
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
                    f"{lost}. Go on from the last checkpoint: python -m zoo.fit resume={shell_word(recorder.folder)}"
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


def settle(recipe: Recipe) -> None:
    """Check the processes that a recipe asks for, choose its precision, and note settings that a user may not intend.

    Raises:
        UserError: if so many processes cannot be started.
    """
    recipe.notes.extend([*note_early_end(recipe), *note_settings_without_effect(recipe)])
    check_processes(recipe.trainer)
    recipe.trainer["precision"] = choose_precision(recipe.trainer)


def is_rank_zero() -> bool:
    """Return whether this process writes and prints: the only process, or rank 0 of several."""
    return not getattr(rank_zero_only, "rank", 0)
