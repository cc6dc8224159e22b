"""Truths of SampleMetrics: what it leaves in a run, and that it changes nothing in the training."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.processes import PATH, run_ranks
from tests.helpers.training import bits, identical, tiny_dcgan, train
from zoo.callbacks import SampleMetrics
from zoo.callbacks import metrics as metrics_of_samples
from zoo.errors import CheckpointError, FeatureError
from zoo.evaluation import Number
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import RunFolder, run_of
from zoo.rendering.svg import can_plot
from zoo.runs.measuring import evaluate

Rows = list[dict[str, Any]]
SMALL: dict[str, Any] = {
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu", "precision": "32-true", "log_every_n_steps": 2},
}


def fit(folder: Path, images: int = 640, **sample_metrics: Any) -> zoo.Run:
    callback = {"every": 128, "n": 100, **sample_metrics}
    return zoo.fit(
        "dcgan_digits", out=folder, images=images, **SMALL, callbacks={"SampleGrid": None, "SampleMetrics": callback}
    )


def rows_of(folder: Path) -> Rows:
    return [json.loads(line) for line in (folder / "evaluation" / "training-digits.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    """A run of ten rounds, measured after every second one, with the plot that `conftest.py` leaves out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics_of_samples, "can_plot", can_plot)
        patch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        return fit(tmp_path_factory.mktemp("runs") / "run")


def test_training_is_the_same_to_the_last_bit_without_it(run: zoo.Run, tmp_path: Path) -> None:
    zoo.fit(
        "dcgan_digits",
        out=tmp_path / "bare",
        images=640,
        **SMALL,
        callbacks={"SampleGrid": None, "SampleMetrics": None},
    )
    name = "checkpoints/000000000640.ckpt"
    assert identical(bits(run.folder / name), bits(tmp_path / "bare" / name))


def test_a_row_for_each_crossing_with_floor_and_protocol(run: zoo.Run) -> None:
    rows = rows_of(run.folder)
    assert [row["images_seen"] for row in rows] == [128, 256, 384, 512, 640]
    for row in rows:
        numbers = {number["label"]: number for number in row["numbers"]}
        assert set(numbers) == {"FD-digits", "precision-digits", "recall-digits", "density-digits", "coverage-digits"}
        distance = numbers["FD-digits"]
        assert distance["floor_n"] == [100, 100]
        assert 0 < distance["floor"] < distance["value"]
        assert distance["protocol"]["images_seen"] == row["images_seen"]
        assert (distance["protocol"]["split"], distance["protocol"]["n_fake"]) == ("train", 100)


def test_loggers_get_the_numbers(run: zoo.Run) -> None:
    header, *lines = (run.folder / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("metrics/FD-digits")
    logged = [line.split(",") for line in lines]
    found = {int(cells[0]): float(cells[column]) for cells in logged if len(cells) > column and cells[column]}
    assert found == {row["images_seen"]: row["numbers"][0]["value"] for row in rows_of(run.folder)}
    assert "metrics/FD-digits-floor" in header


def test_the_best_checkpoint_is_kept_beside_the_last(run: zoo.Run) -> None:
    values = {row["images_seen"]: row["selected"] for row in rows_of(run.folder)}
    best = min(values, key=lambda seen: values[seen])
    (kept,) = (run.folder / "best").iterdir()
    assert kept.name == f"{best:012d}.ckpt"
    assert read_checkpoint(kept)["zoo"]["images_seen"] == best
    assert zoo.load_run(kept).images_seen == best
    assert zoo.load_run(run.folder).images_seen == 640
    records = [row["best_so_far"] for row in rows_of(run.folder)]
    running = [v == min(list(values.values())[: i + 1]) for i, v in enumerate(values.values())]
    assert records == running


def test_the_report_is_on_held_out_images_and_tells_best_and_last(run: zoo.Run) -> None:
    report = json.loads((run.folder / "evaluation" / "report-digits.json").read_text())
    assert (report["selected_on"], report["reported_on"]) == ("train", "held_out")
    best = min(rows_of(run.folder), key=lambda row: row["selected"])
    assert report["best"]["images_seen"] == best["images_seen"]
    assert report["last"]["images_seen"] == 640
    for entry in (report["best"], report["last"]):
        assert {number["protocol"]["split"] for number in entry["numbers"]} == {"held_out"}


def test_the_numbers_are_plotted(run: zoo.Run) -> None:
    pytest.importorskip("matplotlib")
    assert (run.folder / "evaluation" / "training-digits.png").read_bytes()[:4] == b"\x89PNG"


def test_real_features_are_shared_by_runs(tmp_path: Path, extracted: list[int]) -> None:
    fit(tmp_path / "a", images=128)
    first = sum(extracted)
    fit(tmp_path / "b", images=128)
    assert first > sum(extracted) - first == 100  # only the generated images


def test_a_resumed_run_goes_on_in_its_rows(run: zoo.Run, tmp_path: Path) -> None:
    parts = fit(tmp_path / "parts", images=384)
    zoo.fit(resume=parts.folder, images=640)
    assert rows_of(parts.folder) == rows_of(run.folder)
    assert [p.name for p in (parts.folder / "best").iterdir()] == [p.name for p in (run.folder / "best").iterdir()]


def test_select_may_be_highest_or_nothing(tmp_path: Path) -> None:
    fit(tmp_path / "recall", images=256, select="recall")
    rows = rows_of(tmp_path / "recall")
    recalls = [next(n["value"] for n in row["numbers"] if n["key"] == "recall") for row in rows]
    assert [row["selected"] for row in rows] == recalls
    (kept,) = (tmp_path / "recall" / "best").iterdir()
    assert int(kept.stem) == rows[recalls.index(max(recalls))]["images_seen"]
    fit(tmp_path / "none", images=128, select="")
    assert not (tmp_path / "none" / "best").exists()


def test_a_full_disk_at_the_best_checkpoint_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = metrics_of_samples.Trainer.save_checkpoint

    def save(self: Any, path: Path, *args: Any, **kwargs: Any) -> None:
        if path.parent.name == "best":
            raise CheckpointError("cannot write: no space left on device")
        inner(self, path, *args, **kwargs)

    monkeypatch.setattr(metrics_of_samples.Trainer, "save_checkpoint", save)

    def better(self: SampleMetrics, *_: Any) -> list[Number]:
        return [Number("fid", "FD-digits", 1 / (1 + len(self._rows)), None, None, None, None, False, {})]

    monkeypatch.setattr(SampleMetrics, "_numbers", better)
    with pytest.warns(UserWarning, match="best checkpoints that are missing") as warned:
        done = fit(tmp_path / "run", images=384)
    assert done.model.images_seen == 384
    said = [str(each.message) for each in warned if "best checkpoint" in str(each.message)]
    first, last = said
    assert first.startswith(
        "cannot write: no space left on device. Training goes on without this best checkpoint; best"
    )
    assert last == "best checkpoints that are missing: 3 of 3 (3: cannot write: no space left on device)"


def test_broken_samples_cost_a_row_and_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        metrics_of_samples, "in_batches", lambda *args, **kwargs: [torch.full((100, 1, 16, 16), torch.nan)]
    )
    with pytest.warns(UserWarning, match=r"no metrics at 128 images: .*not finite.*Training goes on"):
        fit(tmp_path / "run", images=128)
    assert not (tmp_path / "run" / "evaluation").exists()


def test_a_fault_is_warned_of_once_and_the_missing_measurements_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was said at each measurement, which fills the console of a long run: row R7."""
    broken = [torch.full((100, 1, 16, 16), torch.nan)]
    inner, calls = metrics_of_samples.in_batches, iter(range(100))

    def drawn(*args: Any, **settings: Any) -> Any:
        return inner(*args, **settings) if next(calls) == 1 else broken

    monkeypatch.setattr(metrics_of_samples, "in_batches", drawn)
    with pytest.warns(UserWarning, match="measurements that are missing") as warned:
        fit(tmp_path / "run")
    said = [str(each.message) for each in warned if "not finite" in str(each.message)]
    assert len(said) == 2
    assert said[0].startswith("no metrics at 128 images: some images have features (digits) that are not finite")
    assert said[0].endswith("measurements that are missing for the same reason are counted and said at the end")
    assert said[1].startswith("measurements that are missing: 4 of 5 (4: some images have features (digits) that are")
    assert [row["images_seen"] for row in rows_of(tmp_path / "run")] == [256]


def test_on_a_full_disk_measurements_go_on_and_what_is_missing_is_said_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full from the second measurement on: row R7. The best checkpoint is kept all the same."""
    inner, writes = metrics_of_samples.atomic_write, iter(range(100))

    def write(path: Path) -> Any:
        if path.suffix == ".jsonl" and next(writes) not in room:
            raise OSError(28, "No space left on device")
        return inner(path)

    monkeypatch.setattr(metrics_of_samples, "atomic_write", write)
    room = range(1)
    with pytest.warns(
        UserWarning, match=r"measurements that are missing in .*jsonl, which could not be written: 4 of 5"
    ):
        fit(tmp_path / "full")
    file = tmp_path / "full" / "evaluation" / "training-digits.jsonl"
    line = f"note: measurements cannot be written to {file}: No space left on device. The run goes on without"
    assert capsys.readouterr().err.count(line) == 1
    assert [row["images_seen"] for row in rows_of(tmp_path / "full")] == [128]
    report = json.loads((tmp_path / "full" / "evaluation" / "report-digits.json").read_text())
    (kept,) = (tmp_path / "full" / "best").iterdir()
    assert int(kept.stem) == report["best"]["images_seen"]
    writes, room = iter(range(100)), range(2, 100)  # there is room again at the third
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        fit(tmp_path / "again")
    assert not [each for each in warned if "missing" in str(each.message)]
    assert [row["images_seen"] for row in rows_of(tmp_path / "again")] == [128, 256, 384, 512, 640]


# --- faults ----------------------------------------------------------------------------------------------------------


def test_faults_of_the_settings_are_named() -> None:
    with pytest.raises(FeatureError, match=r"no metric 'fidd'\. Did you mean fid\?"):
        SampleMetrics(100, metrics=("fidd",))
    with pytest.raises(FeatureError, match=r"select: 'kid' is not measured\..*Add its metric"):
        SampleMetrics(100, select="kid")
    with pytest.raises(FeatureError, match="at least 10 images; got 3"):
        SampleMetrics(100, n=3)


def test_without_a_data_module_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"takes from a data module of zoo\.data; got none"):
        train(tiny_dcgan(), 2, tmp_path, callbacks=[SampleMetrics(8, n=10)])


def test_a_missing_extractor_stops_the_run_at_its_start_unless_it_is_not_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(FeatureError, match=r"needs timm.*callbacks\.SampleMetrics=null"):
        fit(tmp_path / "a", images=128, extractor="effnet-lite0", required=True)
    with pytest.warns(UserWarning, match="goes without SampleMetrics: .* needs timm"):
        done = fit(tmp_path / "b", images=128, extractor="effnet-lite0", required=False)
    assert done.model.images_seen == 128


# --- several processes -----------------------------------------------------------------------------------------------


def test_two_processes_measure_once_and_go_on_together(tmp_path: Path) -> None:
    command = [
        *("-m", "zoo.fit", "recipe=dcgan_digits", "images=512", "data.batch_size=32", "model.width=4", "out=run"),
        *("trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.devices=2", "callbacks.SampleGrid=null"),
        *("callbacks.SampleMetrics.every=128", "callbacks.SampleMetrics.n=100"),
    ]
    for ended in run_ranks(command, 2, tmp_path, {**os.environ, "PYTHONPATH": PATH}):
        assert ended.returncode == 0, ended.stderr
    rows = rows_of(tmp_path / "run")
    assert [row["images_seen"] for row in rows] == [128, 256, 384, 512]
    (kept,) = (tmp_path / "run" / "best").iterdir()
    assert int(kept.stem) == min(rows, key=lambda row: row["selected"])["images_seen"]


def test_metrics_stand_in_the_row_of_the_losses_of_their_moment(run: zoo.Run) -> None:
    header, *lines = (run.folder / "metrics.csv").read_text().splitlines()
    moments = [line.split(",")[0] for line in lines]
    assert moments == ["128", "256", "384", "512", "640"]
    assert all(cell for line in lines for cell in line.split(","))
    assert {"d/adversarial", "metrics/FD-digits"} <= set(header.split(","))


def test_what_an_abandoned_branch_reached_is_set_aside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    callbacks: dict[str, Any] = {"SampleMetrics": {"every": 256, "n": 100}, "SampleGrid": {"every": 512}}
    callbacks["SaveEvery"] = {"every": 256, "keep": 20}
    rates = {"generator_lr": 0.02, "discriminator_lr": 0.02}
    settings = SMALL | {"model": {"width": 8, "average_halflife": 50, **rates}}
    zoo.fit("dcgan_digits", out=folder.path, images=1536, **settings, callbacks=callbacks)
    first = rows_of(folder.path)
    assert [row["images_seen"] for row in first if row["best_so_far"]][-2:] == [1024, 1536]  # else nothing is tested
    evaluate(checkpoint=str(folder.path), n=50, metrics=["fid"], repeats=2)
    broken = {"generator_lr": 50.0, "discriminator_lr": 0.5}
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.suffix in (".ckpt", ".yaml")}
    with pytest.raises(FeatureError, match="digits has no setting of that name"):
        zoo.fit(
            resume=folder.checkpoint(1024),
            callbacks={"SampleMetrics": {"options": {"weights": "/nope"}, "required": True}},
        )
    assert all(path.read_bytes() == content for path, content in before.items())  # a refused resume leaves all there
    zoo.fit(resume=folder.checkpoint(1024), images=1280, model=broken)
    assert rows_of(folder.path)[:-1] == first[:4]
    assert not rows_of(folder.path)[-1]["best_so_far"]
    assert folder.best_checkpoints() == [folder.best_checkpoint(1024)]  # not that of 1,536 images
    assert folder.best_checkpoint(1024).read_bytes() == folder.checkpoint(1024).read_bytes()
    (report,) = folder.held_out_reports()
    assert "best" not in report  # it was measured at 1,024 images too, and written over
    assert report["last"]["images_seen"] == 1280
    assert folder.all_evaluations() == []
    assert [int(path.stem) for path in folder.sample_grids()] == [0, 512, 1024, 1280]
    left = sorted((path.parents[2].name, int(path.name[:12])) for path in folder.path.rglob("left/2/*"))
    checkpoints = [("checkpoints", 1280), ("checkpoints", 1536)]
    assert left == [("best", 1536), *checkpoints, ("evaluation", 1536), ("samples", 1536)]
    first_branch = (folder.checkpoint_folder / "left" / "2" / "000000001280.ckpt").read_bytes()
    zoo.fit(resume=folder.checkpoint(1024), images=1088, model=rates)
    assert (folder.checkpoint_folder / "left" / "2" / "000000001280.ckpt").read_bytes() == first_branch
    second = folder.checkpoint_folder / "left" / "3" / "000000001280.ckpt"
    assert second.read_bytes() != first_branch
    assert zoo.load_run(second).images_seen == 1280
    assert run_of(second) == folder


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ({"select": "", "metrics": ["prdc"]}, "two SampleMetrics with extractor=digits would write the same files"),
        ({"select": "", "extractor": "digits"}, "two SampleMetrics with extractor=digits would write the same files"),
        ({"extractor": "pixels"}, "two SampleMetrics keep the best checkpoint.*Set select='' in all but one"),
    ],
)
def test_two_of_them_that_write_the_same_files_are_refused(second: dict[str, Any], fault: str, tmp_path: Path) -> None:
    callbacks = {"SampleMetrics": {"every": 128, "n": 20}, "Second": {"class": "SampleMetrics", "every": 64, "n": 20}}
    callbacks["Second"] |= second
    with pytest.raises(FeatureError, match=fault):
        zoo.fit("dcgan_digits", out=tmp_path / "run", images=128, **SMALL, callbacks=callbacks)
