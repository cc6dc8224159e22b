"""Tests of the recipe in a run folder: row R3, written whole, only when it changed, and refused when cut."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.errors import CheckpointError, UserError
from zoo.io.run_folder import RunFolder
from zoo.runs.recording import whole_recipe
from zoo.runs.resuming import resumed_recipe

SETTINGS: dict[str, Any] = {
    "images": 128,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu"},
    "callbacks": {"SampleMetrics": None, "SampleGrid": None},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.fit("dcgan_digits", out=tmp_path_factory.mktemp("trained"), **SETTINGS).folder


def test_no_beginning_of_a_recipe_is_taken_for_the_recipe(trained: Path, tmp_path: Path) -> None:
    """Row R3: every prefix of `recipe.yaml` is refused, also those that are valid YAML."""
    text = (trained / "recipe.yaml").read_text()
    run = RunFolder(tmp_path)
    run.recipe.write_text(text)
    assert resumed_recipe(run, {}).images == 128
    for length in [*range(0, len(text), 23), *(i + 1 for i, letter in enumerate(text[:-1]) if letter == "\n")]:
        run.recipe.write_text(text[:length])
        with pytest.raises(UserError):
            resumed_recipe(run, {})


def test_a_cut_recipe_is_refused_with_the_way_to_restore_it(trained: Path, tmp_path: Path) -> None:
    """Row R3: a prefix that is valid YAML names the missing section, for resuming and for opening."""
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().partition("  SaveEvery:")[0])
    message = (
        rf"{recipe} was cut: its last section, loggers, is missing or incomplete \([\d,]+ characters are left\). The "
        "command that started the run is in environment.jsonl beside it; with check=true it prints the recipe again"
    )
    for read in (lambda: zoo.fit(resume=folder, images=256), lambda: zoo.load_run(folder)):
        with pytest.raises(CheckpointError, match=message):
            read()


def test_a_recipe_is_written_only_when_it_changed(trained: Path, tmp_path: Path) -> None:
    """Row R3: a resume with the same settings leaves the file alone."""
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    recipe = folder / "recipe.yaml"
    zoo.fit(resume=folder, images=192)
    written = recipe.stat()
    (folder / "ends.jsonl").unlink()  # so that the next resume has the work of the end to do
    zoo.fit(resume=folder)
    assert (recipe.stat().st_ino, recipe.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    zoo.fit(resume=folder, images=256)
    assert "images: 256\n" in recipe.read_text()


def test_a_recipe_of_ones_own_in_a_run_folder_needs_no_loggers(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("images: 64\n")
    assert whole_recipe(tmp_path / "recipe.yaml") == tmp_path / "recipe.yaml"
