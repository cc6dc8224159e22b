"""Plans of groups: which runs there are, in which folders, and what is kept of the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import zoo
from tests.helpers.small_groups import SETTINGS, again, new_group
from zoo.config.arguments import parse_arguments
from zoo.config.recipe_files import find_recipe
from zoo.errors import UserError
from zoo.io.run_folder import RunFolder
from zoo.runs.fitting import main
from zoo.runs.group_fitting import fit_group
from zoo.runs.groups import Group, asked_group
from zoo.runs.recipes import load_recipe


def test_a_grid_is_crossed_with_the_seeds(tmp_path: Path) -> None:
    trained: list[tuple[str, int, int, float]] = []

    def train(plan: Any) -> int:
        model = plan.recipe.model.arguments
        trained.append((plan.folder.name, plan.recipe.seed, model["width"], model["generator_lr"]))
        return 0

    overrides = {**SETTINGS, "model": {"width": "4,6", "generator_lr": "1e-3,0.01"}}
    assert fit_group(new_group(tmp_path / "g", seeds="5,3", overrides=overrides), train) == 0
    assert trained[:3] == [
        ("model.width=4,model.generator_lr=1e-3,seed=5", 5, 4, 0.001),
        ("model.width=4,model.generator_lr=1e-3,seed=3", 3, 4, 0.001),
        ("model.width=4,model.generator_lr=0.01,seed=5", 5, 4, 0.01),
    ]
    assert len(trained) == len({name for name, *_ in trained}) == 8


def test_the_plan_is_kept_with_the_recipe_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that is changed while a group trains changes no run of it; texts keep how they were typed."""
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "recipe.yaml"  # the copy must not make a run folder of the group
    mine.write_text(find_recipe("dcgan_digits").read_text())
    words = "images=128 model.betas=[0.25,0.9] data.batch_size.1=16 callbacks.Alarms=null model.generator_lr=1e-3"
    group = asked_group(load_recipe, mine, out="g", seeds="0,1", overrides=parse_arguments(words.split()))
    assert group is not None
    fit_group(group, lambda plan: 0)
    mine.write_text("images: [")
    assert not RunFolder(Path("g")).recipe.exists()

    recipes = []
    fit_group(again(Path("g")), lambda plan: recipes.append(plan.recipe) or 0)
    model = recipes[1].model.arguments
    assert (recipes[1].name, recipes[1].seed, recipes[1].images) == ("recipe", 1, 128)
    assert (model["betas"], model["generator_lr"]) == ((0.25, 0.9), 0.001)
    assert recipes[1].data.arguments["batch_size"] == {1: 16}
    assert "Alarms" not in recipes[1].callbacks


def test_auto_goes_on_with_the_newest_group_of_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ask = {"resume": "auto", "seeds": "0,1", "overrides": {"images": 64}}
    first = asked_group(load_recipe, "dcgan_digits", **ask)
    assert first is not None
    assert first.is_new
    assert first.folder.parts[:2] == ("runs", "dcgan_digits")
    with first.claimed() as claimed:
        pass

    def found(**changes: Any) -> Group:
        group = asked_group(load_recipe, "dcgan_digits", **{**ask, **changes})
        assert group is not None
        return group

    assert (found().folder, found().is_new) == (claimed.folder, False)
    assert found(seeds="0,1,2").names == ["seed=0", "seed=1", "seed=2"]
    assert found(seeds=None, overrides={}).folder == claimed.folder  # newer than every single run
    assert found(overrides={"images": 65}).is_new
    assert found(overrides={"images": 64, "model": {"width": "4,8"}}).is_new
    single = tmp_path / "runs/dcgan_digits/9999" / "checkpoints"
    single.mkdir(parents=True)
    (single / "000000000064.ckpt").touch()
    assert asked_group(load_recipe, "dcgan_digits", resume="auto") is None  # the newest is a single run
    assert found().folder == claimed.folder


def test_check_prints_the_first_recipe_once_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**SETTINGS, "model": {"width": "4,8"}}
    assert main("dcgan_digits", out=str(tmp_path / "g"), seeds="3,4", check=True, **settings) == 0
    said = capsys.readouterr()
    recipe = yaml.safe_load(said.out)
    assert (recipe["seed"], recipe["model"]["width"]) == (3, 4)
    assert "4 runs of dcgan_digits, one after another" in said.err
    assert not (tmp_path / "g").exists()


def test_a_group_on_several_devices_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [__file__])
    settings = {**SETTINGS, "trainer": {"accelerator": "cpu", "devices": 2}}
    text = (
        "trainer.devices: a group of runs trains on one device; got 2. Give trainer.devices=1, or one command for each"
    )
    with pytest.raises(UserError) as caught:
        main("dcgan_digits", out=str(tmp_path / "g"), seeds="0,1", **settings)
    assert str(caught.value).startswith(text)
    with pytest.raises(UserError, match="a group of runs trains on one device; got 2"):
        zoo.fit("dcgan_digits", out=tmp_path / "g", seeds=[0, 1], **settings)
    assert not (tmp_path / "g").exists()
