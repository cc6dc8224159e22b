"""Tests of wrapping the model of a recipe in a mixture, and of taking the base out of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo.config.arguments import parse_arguments
from zoo.config.recipe import Recipe
from zoo.config.recipe_files import recipe_names
from zoo.errors import RecipeError
from zoo.runs.recipes import load_recipe

WRAPPABLE = [name for name in recipe_names() if "mix" not in name.split("_")]


def load(line: str) -> Recipe:
    recipe, *overrides = line.split()
    return load_recipe(recipe, parse_arguments(overrides))


@pytest.mark.parametrize("name", WRAPPABLE)
def test_every_recipe_can_be_wrapped(name: str) -> None:
    """Every recipe becomes the base of a mixture with the settings that it had, and the data stay: row W10."""
    alone, wrapped = load_recipe(name), load_recipe(name, {"model": {"class": "MixGAN", "components": 3}})
    base = wrapped.model.arguments["base"]
    expected = {**alone.model.arguments, "class": alone.model.target.__name__}
    assert {**base, "seed": 0} == {**expected, "seed": 0}
    assert wrapped.model.target.__name__ == "MixGAN"
    assert wrapped.model.arguments["components"] == 3
    assert wrapped.model.arguments["seed"] == alone.model.arguments["seed"]
    assert wrapped.data.arguments == alone.data.arguments
    assert wrapped.callbacks.keys() == alone.callbacks.keys()


def test_the_row_as_it_was_typed(tmp_path: Path) -> None:
    """`model.class=MixGAN model.base=DCGAN model.components=3` on a DCGAN's recipe builds a mixture: row W10."""
    recipe = load("dcgan_digits model.class=MixGAN model.base=DCGAN model.components=3 model.width=8 images=640")
    assert recipe.data.arguments["channels"] == 1
    assert recipe.model.arguments["base"]["width"] == 8
    assert recipe.notes == [
        "the recipe's DCGAN is the base of the MixGAN: its settings are model.base.NAME",
        "model.width is model.base.width; MixGAN has no such setting",
    ]
    model = recipe.model.build()
    assert len(model.generator.members) == 3
    saved = tmp_path / "recipe.yaml"
    saved.write_text(recipe.to_yaml(), encoding="utf-8")
    assert load_recipe(saved).sections() == recipe.sections()


def test_references_that_a_user_types_follow_the_base() -> None:
    """References in the overrides mean the base, except those to settings that the mixture has: row W10."""
    given: dict[str, Any] = {"model": {"class": "MixGAN", "components": 2, "generators": "${model.components}"}}
    given["data"] = {"held_out": "${model.width}"}
    recipe = load_recipe("dcgan_digits", given)
    assert recipe.model.arguments["generators"] == 2
    assert recipe.data.arguments["held_out"] == 32


def test_another_base_than_the_model_of_the_recipe() -> None:
    """A base of another class drops the settings that it does not have, as a changed `model.class` does: row W10."""
    recipe = load("dcgan_digits model.class=MixGAN model.base=WGANGP model.components=2")
    assert recipe.model.arguments["base"]["class"] == "WGANGP"
    assert recipe.model.arguments["base"]["latent_dim"] == 64
    assert "model.base.class was changed; the recipe's kernel_size is left out" in recipe.notes


def test_a_mixture_becomes_its_base() -> None:
    """`model.class=DCGAN` on the recipe of a mixture of DCGANs takes the base out: the sibling of row W10."""
    recipe, alone = load("mix_dcgan_digits model.class=DCGAN"), load("dcgan_digits")
    assert recipe.model.arguments == alone.model.arguments
    assert recipe.data.arguments["resolution"] == 16
    assert "MixtureReport" not in recipe.callbacks
    assert "callbacks.MixtureReport is left out; DCGAN is no mixture" in recipe.notes


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (
            "dcgan_digits model.components=3",
            "MixGAN has it: model.class=MixGAN model.components=VALUE trains a mixture",
        ),
        ("dcgan_digits mix=3", "a mixture of the recipe's model is model.class=MixGAN model.components=3"),
    ],
)
def test_a_setting_of_mixtures_says_how_to_mix(line: str, remedy: str) -> None:
    """A setting of a mixture on another model is refused with the way to mix: row W10."""
    with pytest.raises(RecipeError) as caught:
        load(line)
    assert remedy in str(caught.value)
