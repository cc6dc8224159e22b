"""The files of a run folder: their names and their readers. No other module contains these names.

RUN/
  recipe.yaml                 the recipe as it ran, with every default written out
  environment.jsonl           one line for each start of the run
  run.lock                    which process trains in the folder, while it does
  ends.jsonl                  one line for each end that was not a kill
  progress.json               how far the run is and how fast, while it trains
  metrics.csv                 logged loss terms and metrics, one row for each logged round
  tensorboard/                the same for TensorBoard
  checkpoints/IMAGES.ckpt     state of the run
  best/IMAGES.ckpt            best checkpoint by a metric (`SampleMetrics`)
  healthy/IMAGES.ckpt         checkpoints that a rollback may return to (`Alarms`)
  samples/IMAGES.png          grids of the same latents; evolution.png and evolution.gif at the end
  samples/real.png            training images as the model gets them
  evaluation/                 metrics during the run, reports on held-out images, results of `python -m zoo.evaluate`
  alarms/events.jsonl         alarms that were raised; alarms/signals.jsonl holds the signals they read
  watch.html, watch/          page of `python -m zoo.watch`, and its plots
  audit/                      report of `python -m zoo.audit`
  */left/START/               what a resume from an older checkpoint set aside, in each of these folders, by the number
                              of the start that did

IMAGES is the number of real images seen so far, with leading zeros to twelve digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.io.files import append_jsonl, read_json, read_jsonl

CHECKPOINT_SUFFIX = ".ckpt"
FINISHED = f"[!.]*{CHECKPOINT_SUFFIX}"  # a killed run may leave a hidden file, see `zoo.io.files.atomic_write`
CHECKPOINTS = "checkpoints"
LEFT = "left"
BEST = "best"
STARTS = "environment.jsonl"
ENDS = "ends.jsonl"
TENSORBOARD = "tensorboard"
STEP = "images_seen"  # first column of metrics.csv


@dataclass(frozen=True)
class RunFolder:
    """Paths and readers of one run folder; the folder and its files need not exist.

    Args:
        path: the folder.
    """

    path: Path

    # --- the run itself ----------------------------------------------------------------------------------------------

    @property
    def recipe(self) -> Path:
        """The recipe as it ran. A folder that has this file is a run folder."""
        return self.path / "recipe.yaml"

    @property
    def metrics_table(self) -> Path:
        """The table of logged values."""
        return self.path / "metrics.csv"

    @property
    def lock(self) -> Path:
        """The file that a run locks while it trains, see `zoo.io.claims`."""
        return self.path / "run.lock"

    def starts(self) -> list[dict[str, Any]]:
        """Return the records of all starts: recipe name, time, command, environment. Other rows are left out."""
        return [row for row in read_jsonl(self.path / STARTS) if isinstance(row.get("recipe"), str)]

    def ends(self) -> list[dict[str, Any]]:
        """Return the records of all ends except kills: seconds, images seen, number of the start; no other rows."""
        rows = [row for row in read_jsonl(self.path / ENDS) if isinstance(row.get("images_seen"), int)]
        return [
            row for row in rows if isinstance(row.get("seconds"), int | float) and isinstance(row.get("start", 0), int)
        ]

    @property
    def progress(self) -> Path:
        """The file that says how far the run is and how fast, every few seconds while it trains."""
        return self.path / "progress.json"

    @property
    def audit_report(self) -> Path:
        """The report of `python -m zoo.audit` as data."""
        return self.audit / "report.json"

    def records(self) -> list[Path]:
        """Return the files with the records of starts and of ends."""
        return [self.path / STARTS, self.path / ENDS]

    def record_start(self, record: dict[str, Any]) -> None:
        """Append the record of a start."""
        append_jsonl(self.path / STARTS, [record])

    def record_end(self, record: dict[str, Any]) -> None:
        """Append the record of an end."""
        append_jsonl(self.path / ENDS, [record])

    # --- checkpoints -------------------------------------------------------------------------------------------------

    @property
    def checkpoint_folder(self) -> Path:
        """The folder in which `SaveEvery` writes checkpoints."""
        return self.path / CHECKPOINTS

    def checkpoint(self, images_seen: int) -> Path:
        """Return the path of the checkpoint after a number of images."""
        return self.checkpoint_folder / f"{images_seen:012d}{CHECKPOINT_SUFFIX}"

    def checkpoints(self) -> list[Path]:
        """Return all checkpoints, the newest first; those that were renamed to no number of images last."""
        found = self.checkpoint_folder.glob(FINISHED)
        return sorted(found, key=lambda path: (path.stem.isdecimal(), path.name), reverse=True)

    def unfinished_checkpoints(self) -> list[Path]:
        """Return the files of checkpoints that were being written when a process was killed."""
        return sorted(self.checkpoint_folder.glob(f".*{CHECKPOINT_SUFFIX}"))

    def newer_than(self, images_seen: int) -> list[Path]:
        """Return the files of later states of the run: its checkpoints, the best ones, grids and evaluations.

        A run that is resumed from an older state leaves them behind: with another setting it does not come to them.
        """
        files = [*self.checkpoints(), *self.best_checkpoints(), *self.sample_grids(), *self.all_evaluations()]
        return [path for path in files if path.name[:12].isdecimal() and int(path.name[:12]) > images_seen]

    def set_aside(self, path: Path) -> Path:
        """Move a file into a folder `left/START/` beside it, where no reader of the run looks; return its new path."""
        target = path.parent / LEFT / str(len(self.starts())) / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        return path.replace(target)

    def best_checkpoint(self, images_seen: int) -> Path:
        """Return the path of a best checkpoint after a number of images."""
        return self.path / BEST / f"{images_seen:012d}{CHECKPOINT_SUFFIX}"

    def best_checkpoints(self) -> list[Path]:
        """Return the best checkpoints, the newest last: one, unless a kill came between writing and removing."""
        return sorted((self.path / BEST).glob(FINISHED))

    def healthy_checkpoint(self, name: str) -> Path:
        """Return the path of a checkpoint that a rollback may return to, by its file name."""
        return self.path / "healthy" / name

    def healthy_checkpoints(self) -> list[Path]:
        """Return the checkpoints that a rollback may return to, the oldest first."""
        return sorted((self.path / "healthy").glob(FINISHED))

    # --- samples, measurements, alarms -------------------------------------------------------------------------------

    def sample_grid(self, images_seen: int) -> Path:
        """Return the path of the grid drawn after a number of images."""
        return self.path / "samples" / f"{images_seen:012d}.png"

    def sample_grids(self) -> list[Path]:
        """Return all grids, the oldest first."""
        return sorted((self.path / "samples").glob("[0-9]*.png"))

    @property
    def real_grid(self) -> Path:
        """The picture of training images that is drawn before the first round."""
        return self.path / "samples" / "real.png"

    @property
    def plan(self) -> Path:
        """The plan of a run of `recipe=photos`, with the reason of each choice, as text."""
        return self.path / "plan.txt"

    @property
    def evolution_strip(self) -> Path:
        """The picture that shows the first row of the grid over time."""
        return self.path / "samples" / "evolution.png"

    @property
    def evolution_animation(self) -> Path:
        """The animation of the grid over time."""
        return self.path / "samples" / "evolution.gif"

    def training_metrics(self, extractor: str) -> Path:
        """Return the path of the metrics that were measured during the run with an extractor."""
        return self.path / "evaluation" / f"training-{extractor}.jsonl"

    def held_out_report(self, extractor: str) -> Path:
        """Return the path of an extractor's report on the best and the last checkpoint on held-out images."""
        return self.path / "evaluation" / f"report-{extractor}.json"

    def held_out_report_paths(self) -> list[Path]:
        """Return the paths of the reports on the best and the last checkpoint, one for each extractor."""
        return sorted((self.path / "evaluation").glob("report-*.json"))

    def held_out_reports(self) -> list[dict[str, Any]]:
        """Return the readable reports on the best and the last checkpoint, one for each extractor."""
        paths = self.held_out_report_paths()
        return [report for path in paths if (report := read_json(path)) is not None]

    def evaluation(self, checkpoint: Path, split: str, extractor: str) -> Path:
        """Return the path of the numbers that `python -m zoo.evaluate` measured for a checkpoint."""
        return self.path / "evaluation" / f"{checkpoint.stem}-{split}-{extractor}.json"

    def measured_in_training(self) -> list[Path]:
        """Return the files of metrics that were measured during the run, one for each extractor."""
        return sorted((self.path / "evaluation").glob("training-*.jsonl"))

    def all_evaluations(self) -> list[Path]:
        """Return the files of all numbers that `python -m zoo.evaluate` measured for checkpoints of the run."""
        paths = (self.path / "evaluation").glob("[!.]*.json")
        return sorted(path for path in paths if not path.name.startswith("report-"))

    def evaluations(self, checkpoint: Path) -> list[Path]:
        """Return the paths of all numbers that `python -m zoo.evaluate` measured for a checkpoint."""
        return sorted((self.path / "evaluation").glob(f"{checkpoint.stem}-*.json"))

    @property
    def signals(self) -> Path:
        """The file of the signals that the alarms read over time."""
        return self.path / "alarms" / "signals.jsonl"

    @property
    def events(self) -> Path:
        """The file of the alarms that were raised."""
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
    """Return the run folder of a checkpoint: the folder that contains `checkpoints/`, `best/` or `healthy/`."""
    folder = checkpoint.parent
    return RunFolder((folder.parent.parent if folder.parent.name == LEFT else folder).parent)


def checkpoints_in(folder: str | Path) -> list[Path]:
    """Return the checkpoints of a run folder, the newest first."""
    return RunFolder(Path(folder)).checkpoints()


def spread(paths: list[Path], count: int) -> list[Path]:
    """Select at most `count` of the paths, evenly spaced, including the first and the last."""
    if len(paths) <= count:
        return paths
    return [paths[round(i * (len(paths) - 1) / (count - 1))] for i in range(count)]


def watch_picture(page: Path, name: str) -> Path:
    """Return the path of a plot of the page that `python -m zoo.watch` wrote."""
    return page.parent / "watch" / f"{name}.png"
