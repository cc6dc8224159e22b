"""Tests of the data of a release, whose recipe may come from a stranger, and of the settings for folders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import zoo
from zoo.data.given_folder import folder_settings
from zoo.errors import UserError
from zoo.releases.references import releases_folder
from zoo.runs import training_data
from zoo.runs.training_data import data_of_release


@pytest.fixture(scope="module")
def model() -> zoo.GAN:
    return zoo.from_pretrained("dcgan_digits")


def release(folder: Path, **data: Any) -> Path:
    """Write the recipe of a release with these settings of the data."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"data": data}))
    return folder


def pictures(root: Path, count: int = 40) -> Path:
    root.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (20, 20), dtype=np.uint8)).save(root / f"{i:02}.png")
    return root


def test_size_and_channels_are_the_models(model: zoo.GAN, tmp_path: Path) -> None:
    """A recipe's huge resolution was tried: row M10."""
    folder = release(tmp_path / "mine", **{"class": "Digits", "resolution": 2**20, "channels": 3, "held_out": 0.25})
    data = data_of_release("mine", folder, {}, model)
    assert (data.resolution, data.channels) == (model.resolution, model.channels)
    assert len(data.held_out) == 1797 // 4


def test_folder_and_expressions_of_a_stranger_are_not_used(model: zoo.GAN, tmp_path: Path) -> None:
    """A regular expression that never ends, and any folder, were taken from the recipe: row M10."""
    root = pictures(tmp_path / "set" / ("a" * 40))
    hostile = {"match": "(a+)+$", "group": "(a|a)*b"}  # each would take years on the path
    folder = release(tmp_path / "mine", **{"class": "Folder", "root": str(root.parent), "held_out": 0.25, **hostile})
    with pytest.raises(UserError) as error:
        data_of_release("mine", folder, {}, model)
    for part in (f"data.root={root.parent}", "data.match=(a+)+$", "data.group=(a|a)*b", "data.root=FOLDER", "yours to"):
        assert part in str(error.value)
    data = data_of_release("mine", folder, {"root": str(root.parent)}, model)
    assert (len(data.train), len(data.held_out)) == (30, 10)


def test_settings_that_the_user_gives_are_used(model: zoo.GAN, tmp_path: Path) -> None:
    root = pictures(tmp_path / "set")
    folder = release(tmp_path / "mine", **{"class": "Folder", "root": "/nowhere", "held_out": 0})
    assert len(data_of_release("mine", folder, {"root": str(root), "match": "^1"}, model).train) == 10


def test_a_strangers_recipe_downloads_nothing(model: zoo.GAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = release(tmp_path / "mine", **{"class": "MNIST", "root": str(tmp_path / "there"), "download": True})
    with pytest.raises(UserError, match=r"data\.download=True.*cannot be read here"):
        data_of_release("mine", folder, {}, model)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("value", [10**9, 0, -3, 1.5, "many", True])
def test_numbers_that_would_fill_the_memory_are_refused(value: Any, model: zoo.GAN, tmp_path: Path) -> None:
    """Row M10."""
    folder = release(tmp_path / "mine", **{"class": "StackedDigits", "triples": value})
    with pytest.raises(UserError, match=r"data\.triples=.* from outside 1 to 1,000,000 are accepted"):
        data_of_release("mine", folder, {}, model)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"held_out": "much"}, "data.held_out: 'much' is not a number"),
        ({"held_out": {"a": 1}}, "data.held_out: "),
        ({"split_seed": [1]}, "data.split_seed: "),
        ({"labels": 3.5}, "was trained on"),
    ],
)
def test_settings_of_other_types_are_refused(wrong: dict[str, Any], text: str, model: zoo.GAN, tmp_path: Path) -> None:
    folder = release(tmp_path / "mine", **{"class": "Digits", **wrong})
    with pytest.raises(UserError) as error:
        data_of_release("mine", folder, {}, model)
    assert text in str(error.value)


def test_the_releases_of_this_library_keep_their_settings(
    model: zoo.GAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pictures(tmp_path / "set")
    folder = release(tmp_path / "ours" / "mine", **{"class": "Folder", "root": str(root), "match": "^1", "held_out": 0})
    monkeypatch.setattr(training_data.references, "releases_folder", lambda: tmp_path / "ours")
    assert len(data_of_release("mine", folder, {}, model).train) == 10


def test_a_copied_release_of_bundled_data_still_finds_them(model: zoo.GAN, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(releases_folder() / "dcgan_digits", folder)
    copied, ours = (data_of_release("", at, {}, model) for at in (folder, releases_folder() / "dcgan_digits"))
    assert copied.digest == ours.digest


def test_settings_of_files_are_accepted_for_folders_and_no_others() -> None:
    """`data.on_corrupt=skip` was advised where it was refused: row A10."""
    given = {"on_corrupt": "skip", "value_range": [0, 4095], "background": "black", "match": "a"}
    assert folder_settings(given) == given
    assert folder_settings(None) == {}
    with pytest.raises(UserError, match=r"data\.resolution=64: folders of images take only data\.on_corrupt"):
        folder_settings({"resolution": 64})
