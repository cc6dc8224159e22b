"""Tests of relative paths in the recipe of a run, seen from another folder: row R10."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torchvision.utils import save_image

import zoo
from tests.helpers.training import SMALL_RUN
from zoo.errors import DataError
from zoo.io.run_folder import RunFolder
from zoo.runs.opening import load_run
from zoo.runs.start_folder import is_there
from zoo.runs.training_data import data_of_checkpoint

SMALL = {**SMALL_RUN, "images": 64, "data": {"class": "Folder", "root": "photos", "batch_size": 8}}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run with `data.root=photos`, started in `project`, seen from the empty folder `elsewhere`."""
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "photos").mkdir(parents=True)
    elsewhere.mkdir()
    torch.manual_seed(0)
    for i in range(24):
        save_image(torch.rand(1, 16, 16), project / "photos" / f"{i}.png")
    monkeypatch.chdir(project)
    folder = zoo.fit("dcgan_digits", out=tmp_path / "run", **SMALL).folder
    monkeypatch.chdir(elsewhere)
    return RunFolder(folder)


def test_a_run_resumes_and_is_measured_from_another_folder(run: RunFolder, tmp_path: Path) -> None:
    """A relative `data.root` is seen from where the run was started: row R10."""
    assert load_run(run.path).images_seen == 64
    assert data_of_checkpoint(run.checkpoints()[0], {}).root == tmp_path / "project" / "photos"
    resumed = zoo.fit(resume=run.path, images=128)
    assert resumed.model.images_seen == 128
    assert resumed.recipe.data.arguments["root"] == str(tmp_path / "project" / "photos")


def test_in_the_same_folder_the_path_stays_as_it_was_given(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "project")
    assert zoo.fit(resume=run.path, images=128).recipe.data.arguments["root"] == "photos"


def test_a_project_that_has_moved_is_seen_from_here(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert data_of_checkpoint(run.checkpoints()[0], {}).root == Path("photos")


def test_images_that_are_nowhere_are_asked_for(run: RunFolder, tmp_path: Path) -> None:
    """The message names the folder that the path was seen from, and the setting to give: row R10."""
    (tmp_path / "project").rename(tmp_path / "moved")
    message = (
        f"the run read data.root=photos as seen from {tmp_path / 'project'}; there is nothing at this path there, nor "
        "from here. Say where the images are: data.root=FOLDER"
    )
    for ask in (lambda: zoo.fit(resume=run.path, images=128), lambda: data_of_checkpoint(run.checkpoints()[0], {})):
        with pytest.raises(DataError, match=re.escape(message)):
            ask()
    photos = str(tmp_path / "moved" / "photos")
    assert zoo.fit(resume=run.path, images=128, data={"root": photos}).model.images_seen == 128


def test_a_run_of_an_earlier_version_did_not_record_the_folder(run: RunFolder, tmp_path: Path) -> None:
    (start,) = run.starts()
    del start["folder"]
    (run.path / "environment.jsonl").write_text(json.dumps(start) + "\n")
    with pytest.raises(DataError, match="as seen from the folder that it was started in, which it did not record; "):
        zoo.fit(resume=run.path, images=128)


@pytest.mark.parametrize("name", ["photos [v2]", "photos {a,b}", "photos*"])
def test_a_folder_with_signs_of_patterns_in_its_name_is_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert is_there(tmp_path / name)
    assert not is_there(tmp_path / "nothing [v2]")
    (tmp_path / "shard-00.tar").touch()
    assert is_there(tmp_path / "shard-{00..07}.tar")
    assert is_there(tmp_path / "shard-*.tar")
