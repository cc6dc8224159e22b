"""Tests of runs that were killed after their last checkpoint: row R4."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.helpers import processes
from tests.helpers.training import SMALL_RUN
from zoo.io.checkpoints import read_checkpoint
from zoo.io.files import read_jsonl
from zoo.io.run_folder import RunFolder, checkpoints_in

SETTINGS: dict[str, Any] = {
    "images": 640,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 3},
    "callbacks": {
        "SampleMetrics": {"every": 400, "n": 60, "metrics": ["fid"]},
        "SampleGrid": {"every": 400},
        "SaveEvery": {"every": 192},
    },
}


KILLED_AT_THE_END = """
import os, signal, zoo
from zoo.callbacks import Every
Every.on_train_end = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # before the first callback does its last work
zoo.fit("dcgan_digits", out={out!r}, **{settings!r})
"""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.fit("dcgan_digits", out=tmp_path_factory.mktemp("unbroken"), **SETTINGS).folder


def results(folder: Path) -> dict[str, bytes]:
    """Return the content of all files of a run that do not record when and how it was started."""
    kinds = (".csv", ".png", ".gif", ".jsonl", ".json")
    paths = [path for path in folder.rglob("*") if path.suffix in kinds]
    left_out = ("environment.jsonl", "ends.jsonl", "progress.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.name not in left_out}


def test_a_run_killed_at_its_end_gets_its_last_results_from_the_next_resume(
    unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row R4: after SIGKILL behind the last checkpoint, a resume makes the last row, best/, report and GIF."""
    folder = tmp_path / "killed"
    command = KILLED_AT_THE_END.format(out=str(folder), settings=SETTINGS)
    ended = processes.run(["-c", command])
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    newest = checkpoints_in(folder)[0]
    assert newest.stem == f"{640:012d}"
    missing = results(unbroken).keys() - results(folder).keys()
    assert missing >= {"samples/000000000640.png", "samples/evolution.gif", "samples/evolution.png"}
    before = newest.read_bytes()

    zoo.fit(resume=folder)
    assert "has all its images; what was to follow the last checkpoint is done now" in capsys.readouterr().out
    assert results(folder) == results(unbroken)
    assert [path.name for path in RunFolder(folder).best_checkpoints()] == [
        path.name for path in RunFolder(unbroken).best_checkpoints()
    ]
    assert newest.read_bytes() == before
    assert read_jsonl(folder / "ends.jsonl")[-1]["complete"] is True
    zoo.fit(resume=folder)
    assert "is finished, with all of its 640 images" in capsys.readouterr().out


def test_the_work_of_the_end_can_be_done_twice(unbroken: Path, tmp_path: Path) -> None:
    """Row R4: killed in the very last moment, everything was made, and is made again with the same bits."""
    folder = Path(shutil.copytree(unbroken, tmp_path / "run"))
    (folder / "ends.jsonl").unlink()
    expected, best = results(folder), RunFolder(folder).best_checkpoints()
    zoo.fit(resume=folder)
    assert results(folder) == expected
    assert RunFolder(folder).best_checkpoints() == best
    assert read_checkpoint(best[0])["zoo"]["images_seen"] == int(best[0].stem)


def test_the_last_report_of_a_mixture_is_made_again(tmp_path: Path) -> None:
    """Row R4: a run that resumes at its end has played no round, and its report of the mixture was left out."""
    settings: dict[str, Any] = {
        "images": 96,
        "model": {"base": {"width": 4}, "components": 2},
        "data": {"batch_size": 24},
        "trainer": {"accelerator": "cpu"},
        "callbacks": {**SMALL_RUN["callbacks"], "MixtureReport": {"every": 1000, "samples": 20}},
    }
    folder = zoo.fit("mix_dcgan_digits", out=tmp_path / "run", **settings).folder
    expected = results(folder)
    assert {"mixture/000000000096_payoffs.png", "mixture/000000000096_members.png"} <= expected.keys()
    (folder / "ends.jsonl").unlink()
    shutil.rmtree(folder / "mixture")
    zoo.fit(resume=folder)
    assert results(folder) == expected


def test_a_finished_run_of_an_earlier_version_is_finished(
    unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(unbroken, tmp_path / "run"))
    (folder / "ends.jsonl").write_text('{"seconds": 1.0, "images_seen": 640}\n')
    zoo.fit(resume=folder)
    assert "is finished, with all of its 640 images" in capsys.readouterr().out
    zoo.fit(resume=folder, images=320)
    assert "has seen 640 images, and images=320 asks for no more. Give a larger one" in capsys.readouterr().out
