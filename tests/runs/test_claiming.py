"""Tests of the folder that a run claims: row R5."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from tests.helpers.training import SMALL_RUN
from zoo.errors import DataError, UserError
from zoo.io.claims import claim
from zoo.io.run_folder import RunFolder
from zoo.runs.claiming import claimed_folder
from zoo.runs.planning import plan_run


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_default_name_that_is_taken_gets_a_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs started in the same second have a folder each: row R5."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zoo.runs.planning.default_folder", lambda name: Path("runs", name, "now"))
    folders = [zoo.fit("dcgan_digits", seed=seed, **SMALL_RUN).folder for seed in range(3)]
    assert [folder.name for folder in folders] == ["now", "now-2", "now-3"]
    assert all(len(RunFolder(folder).starts()) == 1 for folder in folders)


def test_a_named_folder_in_use_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """`fit out=` and `fit resume=` of a folder that another run trains in are refused: row R5."""
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", **SMALL_RUN).folder
    new = tmp_path / "new"
    new.mkdir()
    with claim(run), claim(new):
        before = files(tmp_path)
        with pytest.raises(UserError, match=f"{run} is in use: process "):
            zoo.fit(resume=run, images=256)
        with pytest.raises(UserError, match=f"{new} is in use: process "):
            zoo.fit("dcgan_digits", out=new, **SMALL_RUN)
        assert files(tmp_path) == before
    assert zoo.fit(resume=run, images=256).model.images_seen == 256


def test_a_run_that_another_one_began_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    plan = plan_run("dcgan_digits", out=tmp_path / "run", overrides=SMALL_RUN)
    zoo.fit("dcgan_digits", out=tmp_path / "run", **SMALL_RUN)
    with pytest.raises(UserError, match="already holds a run; resume="), plan.claimed():
        pass


def test_a_run_that_does_not_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        zoo.fit(
            "dcgan_digits", out=tmp_path / "run", **{**SMALL_RUN, "data": {"class": "Folder", "root": str(tmp_path)}}
        )
    assert list(tmp_path.iterdir()) == []


def test_all_processes_of_a_run_share_one_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rank 0 claims, so the other processes of a run are not refused: row R5."""
    monkeypatch.setattr("sys.argv", [__file__])  # workers of pytest-xdist are started by python -c
    overrides = {**SMALL_RUN, "trainer": {"accelerator": "cpu", "devices": 2}}
    plan = plan_run("dcgan_digits", out=tmp_path / "run", overrides=overrides)
    with plan.claimed() as first:
        monkeypatch.setattr("zoo.runs.training_run.is_rank_zero", lambda: False)
        with plan.claimed() as second:
            assert first.folder == second.folder
        assert (tmp_path / "run" / "run.lock").exists()


def test_an_empty_folder_that_was_there_stays(tmp_path: Path) -> None:
    with claimed_folder(tmp_path, is_default=False):
        pass
    assert tmp_path.is_dir()
