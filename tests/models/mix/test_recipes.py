"""Mixtures in recipes: nested bases and their faults, and bases given by name."""

from __future__ import annotations

import pytest

from zoo.models.mix.mixgan import MixGAN


def test_a_base_may_be_a_bare_name() -> None:
    model = MixGAN("VanillaGAN", 2)  # type: ignore[arg-type]
    assert model.resolution == 16
    assert len(model.generator) == 2


def test_faults_of_a_nested_base_are_reported_with_the_others() -> None:
    from zoo.errors import RecipeError
    from zoo.runs.recipes import load_recipe

    with pytest.raises(RecipeError) as caught:
        load_recipe("mix_dcgan_digits", {"model": {"components": "many", "base": {"widht": 3, "width": "wide"}}})
    assert sorted(caught.value.faults) == [
        "model.base.widht: DCGAN has no setting of that name. Did you mean width?",
        "model.base.width: 'wide' is not an integer",
        "model.components: 'many' is not an integer",
    ]
    with pytest.raises(RecipeError, match=r"model.base.class: the zoo has no class WGNGP. Did you mean WGANGP\?"):
        load_recipe("mix_dcgan_digits", {"model": {"base": {"class": "WGNGP"}}})
    with pytest.raises(RecipeError, match=r"model.base: missing; it is a mapping with `class`, a GAN"):
        load_recipe("mix_dcgan_digits", {"model": {"base": None}})


def test_a_base_of_another_class_and_other_data() -> None:
    from zoo.runs.recipes import load_recipe

    changed = load_recipe(
        "mix_dcgan_digits", {"seed": 5, "model": {"base": {"class": "ProGAN"}}, "data": {"class": "Ring"}}
    )
    assert changed.model.arguments["base"]["class"] == "ProGAN"
    assert changed.model.arguments["base"]["seed"] == changed.model.arguments["seed"] == 5
    assert changed.model.arguments["base"]["num_classes"] == 0
    assert "model.base.class was changed; the recipe's kernel_size is left out" in changed.notes
    assert any(note.startswith("model.base.num_classes is 0 because data.class was changed") for note in changed.notes)


@pytest.mark.parametrize("name", ["digits", "cifar10", "celeba", "stacked_digits"])
def test_recipes_mix_what_their_name_says(name: str) -> None:
    from zoo.runs.recipes import load_recipe

    recipe = load_recipe(f"mix_dcgan_{name}")
    assert recipe.model.target is MixGAN
    assert recipe.model.arguments["base"]["class"] == "DCGAN"
    assert recipe.data.arguments["batch_size"] / recipe.model.arguments["components"] >= 32
