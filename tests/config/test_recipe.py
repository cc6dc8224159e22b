"""The recipes of the zoo: what they hold, and what other data or another model changes in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import zoo
from tests.helpers.recipes import recipe, written
from zoo.config.recipe_files import recipe_description, recipe_folder, recipe_names
from zoo.config.settings import settings_of
from zoo.data import Folder
from zoo.errors import RecipeError
from zoo.runs.recipes import load_recipe

NAMES = recipe_names()


def of_networks(model: dict[str, Any]) -> dict[str, Any]:
    """A model's settings, or those of the base that it mixes."""
    base: dict[str, Any] = model.get("base", model)
    return base


# --- the recipes of the zoo ------------------------------------------------------------------------------------------


def test_the_zoo_has_recipes() -> None:
    assert {"dcgan_digits", "vanilla_digits"} <= set(NAMES)
    assert set(NAMES) == {path.stem for path in recipe_folder().iterdir() if path.suffix == ".yaml"}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_resolves_to_classes_and_complete_settings(name: str) -> None:
    found = recipe(name)
    assert found.name == name
    assert found.images > 0
    assert issubclass(found.model.target, zoo.GAN)
    for part in (found.model, found.data, *found.callbacks.values()):
        assert set(part.arguments) == set(settings_of(part.target))
    assert found.notes == []
    assert "SaveEvery" in found.callbacks


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_written_out_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    found = recipe(name)
    again = load_recipe(written(tmp_path / f"{name}.yaml", found.to_yaml()))
    assert again == found
    assert again.to_yaml() == found.to_yaml()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_begins_with_what_it_is_and_how_to_run_it(name: str) -> None:
    first, second, third = (recipe_folder() / f"{name}.yaml").read_text().splitlines()[:3]
    assert first.startswith("# ")
    assert first[2].isalnum()
    assert first == f"# {recipe_description(name)}"
    assert second == "# yaml-language-server: $schema=schema.json"
    assert third.startswith("#")
    assert third.lstrip("# ") == f"python -m zoo.fit recipe={name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_model_of_a_recipe_can_be_built_and_draws_images_of_its_shape(name: str) -> None:
    found = recipe(name)
    with torch.device("meta"):
        model = found.model.build()
    arguments = of_networks(found.model.arguments)
    count = 2 * found.model.arguments.get("components", 1)  # two for each generator of a mixture
    assert model.seed == found.seed
    model.images_seen = found.images  # what grows is full-grown at the end
    with torch.device("meta"):
        latents = model.sample_latent(count)
        images = model.generate(model.generator, latents, model.sample_labels(count))
    assert images.shape == (count, arguments["channels"], arguments["resolution"], arguments["resolution"])


@pytest.mark.parametrize("name", NAMES)
def test_the_model_and_the_data_of_a_recipe_agree_on_the_shape_of_images(name: str) -> None:
    model, data = of_networks(recipe(name).model.arguments), recipe(name).data.arguments
    assert (model["resolution"], model["channels"]) == (data["resolution"], data["channels"])


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_can_be_pointed_at_a_folder(name: str, tmp_path: Path) -> None:
    found = recipe(name, "data.class=Folder", "data.root=X")
    assert found.data.target is Folder
    assert found.data.arguments["root"] == "X"
    assert of_networks(found.model.arguments)["num_classes"] == 0

    file = yaml.safe_load((recipe_folder() / f"{name}.yaml").read_text())
    told = " ".join(found.notes)
    dropped = set(file["data"]) - {"class"} - set(settings_of(Folder))
    for key in dropped:
        assert key in told
    assert ("left out" in told) == bool(dropped)
    for key in set(file["data"]) & {"batch_size", "flip"}:
        assert found.data.arguments[key] == file["data"][key]
    classes = of_networks(file["model"]).get("num_classes", 0)
    where = "model.base" if "base" in file["model"] else "model"
    assert (f"{where}.num_classes is 0 because data.class was changed" in told) == bool(classes)
    assert (f"give {where}.num_classes= the number of its classes" in told) == bool(classes)
    assert f"{where}.num_classes={classes} " not in told  # the new data need not have as many classes: row I3

    again = load_recipe(written(tmp_path / f"{name}.yaml", found.to_yaml()))
    assert again == dataclasses.replace(found, notes=[])


# --- other data, other models ----------------------------------------------------------------------------------------


def test_a_given_number_of_classes_is_kept_on_other_data() -> None:
    found = recipe("dcgan_digits", "data.class=Folder", "data.root=X", "model.num_classes=7")
    assert found.model.arguments["num_classes"] == 7
    assert found.notes == []


def test_naming_the_same_data_again_changes_nothing() -> None:
    assert recipe("dcgan_digits", "data.class=Digits") == recipe("dcgan_digits")


def test_changing_a_setting_of_the_data_leaves_the_classes_alone() -> None:
    found = recipe("dcgan_digits", "data.batch_size=8")
    assert found.model.arguments["num_classes"] == 10
    assert found.notes == []


def test_another_model_keeps_the_settings_it_knows_and_says_which_it_does_not() -> None:
    found = recipe("vanilla_digits", "model.class=DCGAN", "model.width=4")
    assert found.model.target is zoo.DCGAN
    assert (found.model.arguments["latent_dim"], found.model.arguments["width"]) == (64, 4)
    assert found.notes == [
        "model.class was changed; the recipe's layers, discriminator_layers, discriminator_width, pieces, dropout are "
        "left out"
    ]


def test_a_setting_given_for_another_class_is_never_dropped_in_silence() -> None:
    with pytest.raises(RecipeError, match=r"model\.dropout: DCGAN has no setting of that name"):
        recipe("vanilla_digits", "model.class=DCGAN", "model.dropout=0.5")
