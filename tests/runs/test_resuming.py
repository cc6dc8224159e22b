"""Tests of resuming: a run that was killed and resumed ends with the same bits as an uninterrupted one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.helpers import processes
from tests.helpers.training import bits, identical
from zoo.errors import CheckpointError, DataError, RecipeError, UserError
from zoo.io.files import read_jsonl
from zoo.io.run_folder import checkpoints_in
from zoo.runs.fitting import main as fit_command

BATCHES = 16
SMALL: dict[str, Any] = {
    "images": 64 * BATCHES,
    "model": {"width": 4, "critic_steps": 2, "lr_schedule": "cosine", "lr_horizon": "${images}"},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 4},
    "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 192, "keep": 100}},
}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    return zoo.fit("dcgan_digits", out=folder, **SMALL).folder


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_killed_anywhere_ends_with_the_same_bits(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SMALL, "trainer": {**SMALL["trainer"], "precision": precision}}
    uninterrupted = zoo.fit("dcgan_digits", out=tmp_path / "uninterrupted", **settings).folder
    expected = bits(checkpoints_in(uninterrupted)[0])
    assert expected["clock"]["images_seen"] == 64 * BATCHES
    for after in (4, 8, 13):
        folder = tmp_path / f"killed{after}"
        dying = {
            **settings,
            "callbacks": {**SMALL["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": after}},
        }
        with pytest.raises(RuntimeError, match="killed"):
            zoo.fit("dcgan_digits", out=folder, **dying)
        assert checkpoints_in(folder)
        run = zoo.fit(resume=folder, callbacks={"end": None})
        assert identical(bits(checkpoints_in(run.folder)[0]), expected)
        assert (run.folder / "metrics.csv").read_text().count("\n1024,") == 1


def test_the_table_of_a_resumed_run_has_the_numbers_of_the_unbroken_one(unbroken: Path, tmp_path: Path) -> None:
    """Row R13: the first row after a resume is a mean over as many rounds as without the interruption."""
    dying = {**SMALL["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": 10}}
    with pytest.raises(RuntimeError, match="killed"):
        zoo.fit("dcgan_digits", out=tmp_path / "killed", **{**SMALL, "callbacks": dying})
    run = zoo.fit(resume=tmp_path / "killed", callbacks={"end": None})
    assert run.folder.joinpath("metrics.csv").read_text() == (unbroken / "metrics.csv").read_text()


def test_sigkill_and_sigterm_in_a_real_process(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "images": 4800,
        "model": {"width": 4},
        "callbacks": {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": {"every": 320, "keep": 100}},
        "trainer": {"accelerator": "cpu"},
    }
    arguments = [
        "recipe=dcgan_digits",
        "images=4800",
        "model.width=4",
        "callbacks.SampleGrid=null",
        "callbacks.SampleMetrics=null",
        "callbacks.SaveEvery.every=320",
        "callbacks.SaveEvery.keep=100",
        "trainer.accelerator=cpu",
    ]

    def start(folder: Path) -> Any:
        command = ["-m", "zoo.fit", *arguments, f"out={folder}"]
        return processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    killed, ended = tmp_path / "killed", tmp_path / "ended"
    uninterrupted = zoo.fit("dcgan_digits", out=tmp_path / "uninterrupted", **settings).folder
    started = {folder: start(folder) for folder in (killed, ended)}
    for folder, number in ((killed, signal.SIGKILL), (ended, signal.SIGTERM)):
        process = started[folder]
        while len(checkpoints_in(folder)) < 3 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        output = process.communicate()[0]
        assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 128 + signal.SIGTERM), output
        if number == signal.SIGTERM:
            assert "SIGTERM: finishing this round, then saving" in output
            assert f"go on with: python -m zoo.fit resume={folder}" in output
        assert 0 < int(checkpoints_in(folder)[0].stem) < 4_800
    for folder in (killed, ended):
        zoo.fit(resume=folder)
        assert identical(bits(checkpoints_in(folder)[0]), bits(checkpoints_in(uninterrupted)[0]))


def test_auto_goes_on_with_the_newest_run_and_starts_one_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = zoo.fit("dcgan_digits", resume="auto", **{**SMALL, "images": 256})
    assert first.folder.parent == Path("runs/dcgan_digits")
    again = zoo.fit("dcgan_digits", resume="auto", images=512)
    assert again.folder.resolve() == first.folder.resolve()
    assert again.model.images_seen == 512
    newest = checkpoints_in(again.folder)[0]
    newest.write_bytes(newest.read_bytes()[:1000])  # a damaged newest checkpoint is skipped
    assert zoo.fit("dcgan_digits", resume="auto", images=576).model.images_seen == 576


def test_a_finished_run_says_how_to_train_on(unbroken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row R4: resuming a run that is finished in every respect says so in one line, changes no file, and exits 0."""
    files = {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    run = zoo.fit(resume=unbroken)
    line = f"{unbroken} is finished, with all of its 1,024 images. Give a larger images=NUMBER to train on\n"
    assert capsys.readouterr().out == line
    assert (run.model.images_seen, run.folder) == (1024, unbroken)
    assert fit_command(resume=str(unbroken)) == 0
    assert capsys.readouterr().out == line
    assert {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")} == files


def test_a_resumed_run_keeps_model_and_seed(unbroken: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        zoo.fit(resume=unbroken, images=2000, seed=5, model={"width": 8})
    assert "model.width: 4 in the run, 8 now; a resumed run keeps its model" in str(caught.value)
    assert "seed: 0 in the run, 5 now" in str(caught.value)


def test_a_resumed_run_keeps_its_recipes_name_wherever_its_folder_lies(unbroken: Path, tmp_path: Path) -> None:
    moved = tmp_path / "somewhere" / "run"
    shutil.copytree(unbroken, moved)
    assert zoo.fit(resume=moved, images=1_088).recipe.name == "dcgan_digits"
    assert [line["recipe"] for line in read_jsonl(moved / "environment.jsonl")] == ["dcgan_digits"] * 2


def test_a_resumed_run_keeps_its_data(unbroken: Path) -> None:
    with pytest.raises(DataError, match="A resumed run keeps its data"):
        zoo.fit(resume=unbroken, images=2000, data={"split_seed": 9})


def test_a_folder_that_holds_a_run_is_not_overwritten(unbroken: Path) -> None:
    with pytest.raises(UserError, match="already holds a run; resume="):
        zoo.fit("dcgan_digits", out=unbroken)


def test_load_run_gives_the_trained_model(unbroken: Path) -> None:
    model = zoo.load_run(unbroken)
    assert isinstance(model, zoo.DCGAN)
    assert model.images_seen == 64 * BATCHES
    assert not model.training
    assert identical(model.state_dict(), bits(checkpoints_in(unbroken)[0])["weights"])
    alone = zoo.load_run(checkpoints_in(unbroken)[-1])
    assert alone.images_seen == 192


def test_load_run_explains_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no run folder or checkpoint"):
        zoo.load_run(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"has no checkpoints; a run folder keeps them in checkpoints/\*.ckpt"):
        zoo.load_run(tmp_path)
