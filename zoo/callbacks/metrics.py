"""Sample quality while a run goes on: measured, logged, plotted, and the best checkpoint kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import LightningModule, Trainer

from zoo.callbacks.every import Every
from zoo.callbacks.stopping import StopOnSignal
from zoo.data import Images
from zoo.data.points import Points
from zoo.errors import CheckpointError, FeatureError, UserError, did_you_mean, first_line
from zoo.evaluation import (
    METRICS,
    Number,
    ReferenceSet,
    default_extractor,
    labels_like,
    measure_numbers,
    reference_features,
)
from zoo.evaluation.labels import class_counts
from zoo.evaluation.numbers import FRECHET, Floor, Modes, check_metrics
from zoo.features import Extractor, Features, extractor, features_of
from zoo.gan import GAN
from zoo.io.files import atomic_write
from zoo.io.run_folder import RunFolder
from zoo.rendering.curves import draw_curves
from zoo.rendering.pictures import can_plot
from zoo.sampling.images import in_batches

REDRAW_SECONDS = 60.0
T = TypeVar("T")
Row = dict[str, Any]


class SampleMetrics(Every):
    """Measures the averaged generator every so many images, and keeps the best checkpoint beside the last.

    Numbers during the run compare with *training* images, and the best checkpoint is chosen by them. The held-out
    images are looked at only for reporting, at the best and at the last checkpoint, so no choice was made on what is
    reported. Each Fréchet distance has its floor beside it. Training is left untouched to the last bit.

    In the run folder: `evaluation/training-EXTRACTOR.jsonl`, one line for each moment, and its picture (.png), where
    matplotlib is installed; `evaluation/report-EXTRACTOR.json`, the best and the last on held-out images;
    `best/IMAGES.ckpt`. Loggers get `metrics/LABEL`.

    Of several processes the first measures while the others wait, since batch norm's averages are each process's own
    and the first one's are saved.

    Args:
        every: in images seen.
        n: generated images, and at most as many real ones.
        metrics: names among those of `python -m zoo.evaluate`.
        extractor: of the features; empty for the one that suits the data without a download.
        options: of the extractor, such as {weights: PATH}.
        select: the number that decides which checkpoint is best, such as `fid` or `recall`; empty keeps none.
        seed: of latents and of the choice of real images.
        required: stop at the start where the extractor cannot be had; if false, say so and train without.
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
        keys = {key: better for name in metrics for key, better in METRICS[name].keys.items()}
        if select and select not in keys:
            raise FeatureError(
                f"SampleMetrics.select: {select!r} is not measured.{did_you_mean(select, keys)} Add its metric to "
                "`metrics`"
            )
        self.n, self.metrics, self.extractor_name, self.options = n, list(metrics), extractor, dict(options or {})
        self.select, self.seed, self.required = select, seed, required
        self.select_highest = keys.get(select, False)
        self._rows: list[Row] = []
        self._floors: dict[str, dict[str, Floor]] = {"train": {}, "held_out": {}}
        self._latest: Features | None = None
        self._drawn_at = 0.0

    # --- when --------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the real images and their features before the first round, so that faults show at once."""
        assert isinstance(pl_module, GAN)
        self._off = False
        try:
            run_on_rank_zero(trainer, lambda: self._prepare(trainer, pl_module))
        except FeatureError as error:
            if self.required:
                raise FeatureError(f"{error}. To train without metrics: callbacks.SampleMetrics=null") from error
            self._off = True
            rank_zero_warn(f"this run goes without SampleMetrics: {error}")
        super().on_train_start(trainer, pl_module)

    def act(self, trainer: Trainer, model: GAN) -> None:
        """Measure; where the selecting number is the best so far, save."""
        if self._off or _stopping(trainer):  # there may be seconds left, and they belong to the checkpoint
            return
        try:
            improved = run_on_rank_zero(trainer, lambda: self._measure(trainer, model))
        except UserError as error:
            rank_zero_warn(f"no metrics at {model.images_seen:,} images: {first_line(error)}. Training goes on")
            return
        if improved:
            self._save_best(trainer, model)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the final model, report the best and the last on held-out images."""
        super().on_train_end(trainer, pl_module)
        assert isinstance(pl_module, GAN)
        if not trainer.is_global_zero or not self._rows or _stopping(trainer):
            return
        try:
            self._report(pl_module)
            self._draw()
        except (UserError, OSError) as error:
            rank_zero_warn(f"no report on held-out images: {first_line(error)}")

    # --- what the first process does ---------------------------------------------------------------------------------

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
        self._rows = []
        if model.images_seen and self._file.exists():  # a resumed run: rows after its checkpoint are written again
            rows = [json.loads(line) for line in self._file.read_text().splitlines()]
            self._rows = [row for row in rows if row["images_seen"] <= model.images_seen]

    def _measure(self, trainer: Trainer, model: GAN) -> bool:
        """One row; whether the selecting number is the best so far."""
        labels = None
        if model.num_classes:
            counts = class_counts(self._reals.split, self._reals.places, model.num_classes)
            labels = labels_like(counts, self.n, self.seed)
        batches = in_batches(model, self.n, seed=self.seed, labels=labels)
        self._latest = features_of(self._extractor, batches, total=self.n, title="measuring samples")
        numbers = self._numbers(model, self._reals, self._latest)
        before = [value for row in self._rows if (value := row["selected"]) is not None]
        selected = next((number.value for number in numbers if number.key == self.select), None)
        best = max if self.select_highest else min
        improved = selected is not None and best([selected, *before]) == selected and selected not in before
        self._rows.append(
            {
                "images_seen": model.images_seen,
                "selected": selected,
                "best_so_far": improved,
                "numbers": [number.as_dict() for number in numbers],
            }
        )
        with atomic_write(self._file) as scratch:
            scratch.write_text("".join(json.dumps(row) + "\n" for row in self._rows))
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
        floors = self._floors[reals.part]
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
        """Numbers of the latest features on held-out images, beside those of the best moment."""
        if self._latest is None or not len(self._data.held_out):
            return
        path = self._folder.held_out_report(self._extractor.name)
        report = json.loads(path.read_text()) if path.exists() else {}
        reals = reference_features(self._data, "held_out", self._extractor, self.n, self.seed)
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
        with atomic_write(path) as scratch:
            scratch.write_text(json.dumps(report, indent=2) + "\n")

    def _log(self, trainer: Trainer, numbers: list[Number], images_seen: int) -> None:
        values = {f"metrics/{n.label.replace('/', '_')}": n.value for n in numbers}
        floors = {n.label: n.floor for n in numbers if n.key in FRECHET and n.floor is not None}
        values |= {f"metrics/{label}-floor": floor for label, floor in floors.items()}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=images_seen)

    def _draw(self) -> None:
        if can_plot():
            self._drawn_at = time.monotonic()
            draw_curves(self._rows, "images_seen", "images seen", self._file.with_suffix(".png"))

    # --- what all processes do ---------------------------------------------------------------------------------------

    def _save_best(self, trainer: Trainer, model: GAN) -> None:
        folder = RunFolder(Path(trainer.default_root_dir))
        path = folder.best_checkpoint(model.images_seen)
        try:
            trainer.save_checkpoint(path)
        except CheckpointError as error:
            trainer.strategy.barrier()  # where the other processes wait at the end of a save
            rank_zero_warn(f"{first_line(error)}. Training goes on without this best checkpoint")
            return
        if trainer.is_global_zero:
            for old in folder.best_checkpoints():
                if old != path:
                    old.unlink()


def run_on_rank_zero(trainer: Trainer, work: Callable[[], T]) -> T:
    """Do something in the first process and give all of them what came of it, the fault of a user included."""
    outcome: tuple[Any, str | None] = (None, None)
    if trainer.is_global_zero:
        try:
            outcome = work(), None
        except (UserError, OSError) as error:
            outcome = None, str(error)
    outcome = trainer.strategy.broadcast(outcome)
    if outcome[1] is not None:
        raise FeatureError(outcome[1])
    result: T = outcome[0]
    return result


def _stopping(trainer: Trainer) -> bool:
    """Whether somebody asked the run to end before its length."""
    callbacks: list[Any] = getattr(trainer, "callbacks", [])
    return any(isinstance(callback, StopOnSignal) and callback.received is not None for callback in callbacks)
