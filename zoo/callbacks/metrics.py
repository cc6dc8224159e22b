"""Callback that measures sample quality during training and keeps the best checkpoint."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import LightningModule, Trainer

from zoo.callbacks.every import Every
from zoo.callbacks.stopping import StopOnSignal
from zoo.data import Images
from zoo.data.points import Points
from zoo.errors import CheckpointError, FeatureError, UserError, did_you_mean, first_line
from zoo.evaluation import (
    Number,
    ReferenceSet,
    default_extractor,
    labels_like,
    measure_numbers,
    reference_features,
)
from zoo.evaluation.labels import class_counts
from zoo.evaluation.metric_table import FRECHET, check_metrics, metric_spec, need_training_images
from zoo.evaluation.numbers import Floor, Modes
from zoo.evaluation.reference import with_training_features
from zoo.features import Extractor, Features, extractor, features_of
from zoo.gan import GAN
from zoo.io.files import atomic_write, read_json, read_jsonl
from zoo.io.room import Missing, spared
from zoo.io.run_folder import RunFolder
from zoo.rendering.curves import draw_curves
from zoo.rendering.svg import can_plot
from zoo.sampling.images import in_batches
from zoo.training.rank_zero import run_on_rank_zero
from zoo.training.terms import NonFiniteLossError

REDRAW_SECONDS = 60.0
Row = dict[str, Any]


class SampleMetrics(Every):
    """Callback that measures the EMA generator at regular intervals and keeps the best checkpoint in `best/`.

    During training, samples are compared with *training* images, and the best checkpoint is selected by these numbers.
    Held-out images serve only to report the best and the last checkpoint, so nothing is selected on the reported
    numbers. Each Fréchet distance is logged with its floor. Training stays the same, bit for bit.

    Files in the run folder: `evaluation/training-EXTRACTOR.jsonl`, one line per measurement, and a plot of it (.png) if
    matplotlib is installed; `evaluation/report-EXTRACTOR.json`, the best and the last measurement on held-out images;
    `best/IMAGES.ckpt`, the best checkpoint. Loggers get the numbers as `metrics/LABEL`.

    With several processes, rank 0 measures while the others wait, because each rank has its own batch norm averages and
    those of rank 0 are saved.

    Args:
        every: interval in images seen.
        n: number of generated images, and largest number of real ones.
        metrics: names of metrics, as in `python -m zoo.evaluate`.
        extractor: name of the extractor; empty for the one that suits the data and needs no download.
        options: options of the extractor, such as {weights: PATH}.
        select: name of the number that selects the best checkpoint, such as `fid` or `recall`; empty keeps none.
        seed: seed of latents and of the choice of real images.
        required: stop at the start if the extractor is not available; if false, warn and train without metrics.
    """

    def __init__(
        self,
        every: int,
        n: int = 10_000,
        metrics: tuple[str, ...] = ("fid", "prdc"),
        extractor: str = "",
        options: dict[str, Any] | None = None,
        select: str = "fid",
        seed: int = 0,
        required: bool = True,
    ) -> None:
        super().__init__(every)
        if n < 10:
            raise FeatureError(f"SampleMetrics.n: at least 10 images; got {n}")
        check_metrics(list(metrics))
        for name in metrics:
            if metric_spec(name).train == "beside":
                raise FeatureError(
                    f"SampleMetrics.metrics: {name} needs held-out images, on which no checkpoint is selected. Measure "
                    f"it after training: python -m zoo.evaluate checkpoint=RUN metrics={name}"
                )
        keys = {key: better for name in metrics for key, better in metric_spec(name).keys.items()}
        if select and select not in keys:
            raise FeatureError(
                f"SampleMetrics.select: {select!r} is not measured.{did_you_mean(select, keys)} Add its metric to "
                "`metrics`"
            )
        self.n, self.metrics, self.extractor_name, self.options = n, list(metrics), extractor, dict(options or {})
        self.select, self.seed, self.required = select, seed, required
        self.select_highest = keys.get(select, False)
        self._rows: list[Row] = []
        self._held_out: dict[str, Any] = {}
        self._begin()

    @property
    def measurements(self) -> int:
        """Number of measurements of this run on rank 0, with those before a resume; 0 on other ranks."""
        return len(self._rows)

    # --- hooks -------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the features of the real images before the first round, so that errors occur at once.

        Raises:
            FeatureError: if the extractor is not available and `required`, or another of these callbacks writes the
                same files.
        """
        assert isinstance(pl_module, GAN)
        self._off = False
        self._check_others(trainer)
        self._begin()
        try:
            run_on_rank_zero(trainer, lambda: self._prepare(trainer, pl_module))
        except FeatureError as error:
            if self.required:
                raise FeatureError(f"{error}. To train without metrics: callbacks.SampleMetrics=null") from error
            self._off = True
            rank_zero_warn(f"this run goes without SampleMetrics: {error}")
        super().on_train_start(trainer, pl_module)

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Measure, and save a checkpoint if the selecting number is the best so far."""
        if self._off or _stopping(trainer):  # after a signal only seconds may be left, which the checkpoint needs
            return
        self._missing.attempts += 1
        try:
            improved = run_on_rank_zero(trainer, lambda: self._measure(trainer, model))
        except UserError as error:
            cause = first_line(error)
            self._missing.add(f"no metrics at {model.images_seen:,} images: {cause}. Training goes on", cause)
            return
        if improved:
            self._save_best(trainer, model)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the final model, report best and last measurement on held-out images, and say what is missing."""
        super().on_train_end(trainer, pl_module)
        assert isinstance(pl_module, GAN)
        self._missing.say()
        self._missing_best.say()
        if not trainer.is_global_zero or not self._rows or _stopping(trainer):
            return
        try:
            self._report(pl_module)
            self._draw()
        except (UserError, OSError) as error:
            rank_zero_warn(f"no report on held-out images: {first_line(error)}")
        if self._unwritten:
            rank_zero_warn(
                f"measurements that are missing in {self._file}, which could not be written: {self._unwritten:,} of "
                f"{len(self._rows):,}"
            )

    def _begin(self) -> None:
        """Forget what was measured in an earlier fit, which may have had other data."""
        self._floors: dict[str, dict[str, Floor]] = {"train": {}, "held_out": {}}
        self._latest: Features | None = None
        self._drawn_at = 0.0
        self._missing, self._missing_best = Missing("measurements"), Missing("best checkpoints")
        self._unwritten = 0  # measurements since the file was written last

    def _check_others(self, trainer: Trainer) -> None:
        """Check that no other callback of this kind writes the same files.

        Raises:
            FeatureError: for two with one extractor, or two that keep a best checkpoint.
        """
        callbacks: list[Any] = getattr(trainer, "callbacks", [])
        others = [callback for callback in callbacks if isinstance(callback, SampleMetrics) and callback is not self]
        data: Any = getattr(trainer, "datamodule", None)
        usual = default_extractor(data) if isinstance(data, Images) else ""
        name = self.extractor_name or usual
        if any((other.extractor_name or usual) == name for other in others):
            raise FeatureError(
                f"two SampleMetrics with extractor={name} would write the same files. Name all numbers "
                "in `metrics` of one of them, or give each an extractor of its own"
            )
        if self.select and any(other.select for other in others):
            raise FeatureError(
                "two SampleMetrics keep the best checkpoint, of which a run has one. Set select='' in all but one"
            )

    # --- on rank 0 ---------------------------------------------------------------------------------------------------

    def _prepare(self, trainer: Trainer, model: GAN) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        if not isinstance(data, Images):
            raise FeatureError(
                "SampleMetrics compares with real images, which it takes from a data module of zoo.data; got "
                f"{'none' if data is None else type(data).__name__}. Train with one, or remove SampleMetrics"
            )
        self._extractor: Extractor = extractor(self.extractor_name or default_extractor(data), **self.options)
        self._extractor.to(model.device)
        self._data = data
        self._modes: Modes | None = (
            (torch.from_numpy(data.centres), data.deviation) if isinstance(data, Points) else None
        )
        self._reals: ReferenceSet = reference_features(data, "train", self._extractor, self.n, self.seed)
        self._folder = RunFolder(Path(trainer.default_root_dir))
        self._file = self._folder.training_metrics(self._extractor.name)
        self._rows, self._held_out = [], {}
        if model.images_seen:
            self._take_over(model.images_seen)

    def _take_over(self, images_seen: int) -> None:
        """Take over what a resumed run measured up to its checkpoint; what it measured later it did with other weights.

        The best checkpoint until then has given way to a later one, so it is made again if the run still has its state.
        """
        rows = read_jsonl(self._file, say=True) if self._file.exists() else []
        self._rows = [row for row in rows if row["images_seen"] <= images_seen]
        report = read_json(self._folder.held_out_report(self._extractor.name)) or {}
        late = {key for key in ("best", "last") if (report.get(key) or {}).get("images_seen", 0) > images_seen}
        self._held_out = {key: value for key, value in report.items() if key not in late}
        if late:
            self._write_report()
        best = next((row["images_seen"] for row in reversed(self._rows) if row["best_so_far"]), None)
        if best is not None and not (path := self._folder.best_checkpoint(best)).exists():
            with suppress(FileNotFoundError), atomic_write(path) as scratch:
                shutil.copyfile(self._folder.checkpoint(best), scratch)

    def _measure(self, trainer: Trainer, model: GAN) -> bool:
        """Measure and write one row; return whether the selecting number is the best so far."""
        labels = None
        if model.num_classes and self._reals.split.pool.labels is not None:
            counts = class_counts(self._reals.split, self._reals.indices, model.num_classes)
            labels = labels_like(counts, self.n, self.seed)
        batches = in_batches(model, self.n, seed=self.seed, labels=labels)
        self._latest = features_of(self._extractor, batches, total=self.n, title="measuring samples")
        numbers = self._numbers(model, self._reals, self._latest)
        # A run that was killed at its end has measured these weights already, and measures them again for the report.
        self._rows = [row for row in self._rows if row["images_seen"] < model.images_seen]
        earlier = [value for row in self._rows if (value := row["selected"]) is not None]
        selected = next((number.value for number in numbers if number.key == self.select), None)
        best_of = max if self.select_highest else min
        improved = selected is not None and best_of([selected, *earlier]) == selected and selected not in earlier
        self._rows.append(
            {
                "images_seen": model.images_seen,
                "selected": selected,
                "best_so_far": improved,
                "numbers": [number.as_dict() for number in numbers],
            }
        )
        self._unwritten += 1
        with spared("measurements", self._file), atomic_write(self._file) as scratch:
            scratch.write_text("".join(json.dumps(row) + "\n" for row in self._rows))
            self._unwritten = 0
        self._log(trainer, numbers, model.images_seen)
        if improved:
            self._report(model)
        if self._drawn_at and time.monotonic() - self._drawn_at > REDRAW_SECONDS:
            self._draw()
        self._drawn_at = self._drawn_at or time.monotonic()
        return improved

    def _numbers(self, model: GAN, reals: ReferenceSet, fake: Features) -> list[Number]:
        protocol = {
            "generator": "averaged",
            "images_seen": model.images_seen,
            "seed": self.seed,
            "data": type(self._data).__name__,
            "data_digest": self._data.digest,
        }
        floors = self._floors[reals.split_name]
        return measure_numbers(
            self.metrics,
            self._extractor,
            reals,
            fake,
            protocol,
            modes=self._modes,
            seed=self.seed,
            floors=floors,
            device=model.device if model.device.type == "cuda" else None,
        )

    def _report(self, model: GAN) -> None:
        """Write the numbers of the latest features on held-out images to the report; those of the best stay in it."""
        if self._latest is None or not len(self._data.held_out):
            return
        report = self._held_out  # kept, as the file may not be written
        reals = reference_features(self._data, "held_out", self._extractor, self.n, self.seed)
        if need_training_images(self.metrics):
            reals = with_training_features(reals, self._data, self._extractor, self.seed)
        row = self._rows[-1]
        entry = {
            "images_seen": row["images_seen"],
            "selected_by": {self.select: row["selected"]} if self.select else None,
            "numbers": [number.as_dict() for number in self._numbers(model, reals, self._latest)],
        }
        report["selected_on"], report["reported_on"] = "train", "held_out"
        if row["best_so_far"]:
            report["best"] = entry
        report["last"] = entry
        self._write_report()

    def _write_report(self) -> None:
        path = self._folder.held_out_report(self._extractor.name)
        with spared("the report on held-out images", path), atomic_write(path) as scratch:
            scratch.write_text(json.dumps(self._held_out, indent=2) + "\n")

    def _log(self, trainer: Trainer, numbers: list[Number], images_seen: int) -> None:
        values = {f"metrics/{n.label.replace('/', '_')}": n.value for n in numbers}
        floors = {n.label: n.floor for n in numbers if n.key in FRECHET and n.floor is not None}
        values |= {f"metrics/{label}-floor": floor for label, floor in floors.items()}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=images_seen)

    def _draw(self) -> None:
        if can_plot():
            self._drawn_at = time.monotonic()
            path = self._file.with_suffix(".png")
            with spared("the plot of the measurements", path):
                draw_curves(self._rows, "images_seen", "images seen", path)

    # --- on all ranks ------------------------------------------------------------------------------------------------

    def _save_best(self, trainer: Trainer, model: GAN) -> None:
        folder = RunFolder(Path(trainer.default_root_dir))
        path = folder.best_checkpoint(model.images_seen)
        self._missing_best.attempts += 1
        try:
            trainer.save_checkpoint(path)
        except NonFiniteLossError:
            if model.can_roll_back:
                return
            raise
        except CheckpointError as error:
            trainer.strategy.barrier()  # the other ranks wait here at the end of a save
            cause = first_line(error)
            text = f"{cause}. Training goes on without this best checkpoint"
            self._missing_best.add(text, cause.replace(path.stem, "IMAGES"))
            return
        if trainer.is_global_zero:
            for old in folder.best_checkpoints():
                if old != path:
                    old.unlink()


def _stopping(trainer: Trainer) -> bool:
    """Check whether a signal is ending the run before its length."""
    callbacks: list[Any] = getattr(trainer, "callbacks", [])
    return any(isinstance(callback, StopOnSignal) and callback.received is not None for callback in callbacks)
