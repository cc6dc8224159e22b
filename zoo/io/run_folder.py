"""The files of a run folder: every name, and how each is read. Nothing else in the package spells them.

RUN/
  recipe.yaml                 the resolved recipe
  environment.jsonl           one line for each start of the run
  ends.jsonl                  one line for each end that was not a kill
  metrics.csv                 logged terms and metrics, one row a moment
  tensorboard/
  checkpoints/IMAGES.ckpt     run state; checkpoints/left/ holds those set aside by an earlier resume
  best/IMAGES.ckpt            the best checkpoint by a metric (`SampleMetrics`)
  healthy/IMAGES.ckpt         what a rollback returns to (`Alarms`)
  samples/IMAGES.png          grids of the same latents; evolution.png and evolution.gif at the end
  evaluation/                 metrics during the run, held-out reports, results of `python -m zoo.evaluate`
  alarms/events.jsonl, alarms/signals.jsonl
  watch.html, watch/          the page of `python -m zoo.watch` and its plots
  audit/                      the report of `python -m zoo.audit`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.io.files import read_jsonl

CHECKPOINT_SUFFIX = ".ckpt"
TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class RunFolder:
    """Paths and readers of one run folder, whether or not the files exist.

    Args:
        path: of the folder.
    """

    path: Path

    # --- the run itself ----------------------------------------------------------------------------------------------

    @property
    def recipe(self) -> Path:
        """The resolved recipe. A folder that has one is a run folder."""
        return self.path / "recipe.yaml"

    @property
    def metrics_table(self) -> Path:
        """The table of logged values."""
        return self.path / "metrics.csv"

    def starts(self) -> list[dict[str, Any]]:
        """Return what was recorded at each start: recipe name, time, command, environment."""
        return read_jsonl(self.path / "environment.jsonl")

    def ends(self) -> list[dict[str, Any]]:
        """Return what was recorded at each end that was not a kill: seconds, images seen, number of its start."""
        return read_jsonl(self.path / "ends.jsonl")

    def record_start(self, record: dict[str, Any]) -> None:
        """Append the record of a start."""
        _append(self.path / "environment.jsonl", record)

    def record_end(self, record: dict[str, Any]) -> None:
        """Append the record of an end."""
        _append(self.path / "ends.jsonl", record)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    @property
    def checkpoint_folder(self) -> Path:
        """Where `SaveEvery` writes."""
        return self.path / "checkpoints"

    def checkpoint(self, images_seen: int) -> Path:
        """Return the path of the checkpoint after so many images."""
        return self.checkpoint_folder / f"{images_seen:012d}{CHECKPOINT_SUFFIX}"

    def checkpoints(self) -> list[Path]:
        """Return all checkpoints, the newest first."""
        return sorted(self.checkpoint_folder.glob(f"*{CHECKPOINT_SUFFIX}"), reverse=True)

    def set_aside(self, checkpoint: Path) -> Path:
        """Move a checkpoint from after the point where a run is resumed out of the way; returns its new path."""
        target = self.checkpoint_folder / "left" / checkpoint.name
        target.parent.mkdir(exist_ok=True)
        return checkpoint.replace(target)

    def best_checkpoint(self, images_seen: int) -> Path:
        """Return the path of a best checkpoint after so many images."""
        return self.path / "best" / f"{images_seen:012d}{CHECKPOINT_SUFFIX}"

    def best_checkpoints(self) -> list[Path]:
        """Return the best checkpoints, the newest last: one, unless a kill came between writing and removing."""
        return sorted((self.path / "best").glob(f"*{CHECKPOINT_SUFFIX}"))

    def healthy_checkpoint(self, name: str) -> Path:
        """Return the path of a checkpoint that a rollback may return to, by its file name."""
        return self.path / "healthy" / name

    def healthy_checkpoints(self) -> list[Path]:
        """Return the checkpoints that a rollback may return to."""
        return sorted((self.path / "healthy").glob(f"*{CHECKPOINT_SUFFIX}"))

    # --- samples, measurements, alarms -------------------------------------------------------------------------------

    def sample_grid(self, images_seen: int) -> Path:
        """Return the path of the grid drawn after so many images."""
        return self.path / "samples" / f"{images_seen:012d}.png"

    def sample_grids(self) -> list[Path]:
        """Return all grids, the oldest first."""
        return sorted((self.path / "samples").glob("[0-9]*.png"))

    @property
    def evolution_strip(self) -> Path:
        """The first row of the grid over time."""
        return self.path / "samples" / "evolution.png"

    @property
    def evolution_animation(self) -> Path:
        """The grid over time."""
        return self.path / "samples" / "evolution.gif"

    def training_metrics(self, extractor: str) -> Path:
        """Return the path of the metrics measured during the run with an extractor."""
        return self.path / "evaluation" / f"training-{extractor}.jsonl"

    def held_out_report(self, extractor: str) -> Path:
        """Return the path of the report on the best and the last checkpoint."""
        return self.path / "evaluation" / f"report-{extractor}.json"

    def held_out_reports(self) -> list[dict[str, Any]]:
        """Return the reports on the best and the last checkpoint, one for each extractor."""
        paths = sorted((self.path / "evaluation").glob("report-*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def evaluation(self, checkpoint: Path, split: str, extractor: str) -> Path:
        """Return the path of what `python -m zoo.evaluate` measured of a checkpoint."""
        return self.path / "evaluation" / f"{checkpoint.stem}-{split}-{extractor}.json"

    def evaluations(self, checkpoint: Path) -> list[Path]:
        """Return what `python -m zoo.evaluate` measured of a checkpoint."""
        return sorted((self.path / "evaluation").glob(f"{checkpoint.stem}-*.json"))

    @property
    def signals(self) -> Path:
        """The signals that the alarms read over time."""
        return self.path / "alarms" / "signals.jsonl"

    @property
    def events(self) -> Path:
        """The alarms that were raised."""
        return self.path / "alarms" / "events.jsonl"

    @property
    def watch_page(self) -> Path:
        """The page of `python -m zoo.watch`."""
        return self.path / "watch.html"

    @property
    def audit(self) -> Path:
        """The folder of the report of `python -m zoo.audit`."""
        return self.path / "audit"


def run_of(checkpoint: Path) -> RunFolder:
    """Return the folder that a checkpoint would belong to: the one above `checkpoints/`, `best/` or `healthy/`."""
    return RunFolder(checkpoint.parent.parent)


def checkpoints_in(folder: str | Path) -> list[Path]:
    """Return the checkpoints of a run folder, the newest first."""
    return RunFolder(Path(folder)).checkpoints()


def _append(path: Path, record: dict[str, Any]) -> None:
    with open(path, "a") as file:
        file.write(json.dumps(record) + "\n")
