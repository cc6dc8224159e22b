"""Recipes in files of one's own: where they are found, and how they are written out."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from tests.helpers.recipes import MINIMAL, recipe, written
from zoo.config.recipe_files import find_recipe
from zoo.data import Digits
from zoo.errors import UserError
from zoo.runs.recipes import load_recipe


def test_a_short_file_is_a_recipe(tmp_path: Path) -> None:
    found = load_recipe(str(written(tmp_path / "mine.yaml", MINIMAL)))
    assert (found.name, found.seed, found.images, found.trainer) == ("mine", 0, 10, {})
    assert (found.model.target, found.data.target) == (zoo.DCGAN, Digits)
    assert (found.callbacks, found.loggers) == ({}, {})


def test_a_file_may_be_given_as_a_path_or_end_in_yml(tmp_path: Path) -> None:
    assert load_recipe(written(tmp_path / "mine.yml", MINIMAL)).name == "mine"
    assert find_recipe(str(tmp_path / "mine.yml")) == tmp_path / "mine.yml"


def test_a_recipe_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no recipe file .*/nowhere\.yaml"):
        load_recipe(str(tmp_path / "nowhere.yaml"))


def test_a_path_to_no_file_is_the_users_fault_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        load_recipe(tmp_path / "nowhere.yaml")


def test_umlauts_and_booleans_survive_being_written_out(tmp_path: Path) -> None:
    found = recipe("dcgan_digits", "data.class=Folder", "data.root=Bilder/Köpfe", "data.flip=true")
    again = load_recipe(written(tmp_path / "r.yaml", found.to_yaml()))
    assert (again.data.arguments["root"], again.data.arguments["flip"]) == ("Bilder/Köpfe", True)


@pytest.mark.parametrize("root", ["007", "true", "1e3", "null", "a: b", "2024-01-01"])
def test_texts_that_look_like_other_things_survive_being_written_out(root: str, tmp_path: Path) -> None:
    text = MINIMAL.replace("{class: Digits}", f"{{class: Folder, resolution: 16, root: {root!r}}}")
    found = load_recipe(written(tmp_path / "r.yaml", text))
    again = load_recipe(written(tmp_path / "r.yaml", found.to_yaml()))
    assert again == found
