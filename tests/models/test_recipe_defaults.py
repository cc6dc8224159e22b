"""A recipe fills in every default: the model it builds must be that of the constructor called without them."""

from __future__ import annotations

from typing import Any

import pytest

import zoo
from tests.helpers.ideas import IDEAS, idea
from tests.runs.test_changes import VARIANTS
from zoo.config.settings import settings_of
from zoo.runs.recipes import load_recipe
from zoo.training.average import MovingAverage
from zoo.training.clock import Schedule


def plain_state(model: zoo.GAN) -> dict[str, Any]:
    """The attributes of a model that are plain values or schedules."""
    kinds = (bool, int, float, str, tuple, Schedule, MovingAverage)
    return {name: value for name, value in vars(model).items() if isinstance(value, kinds)}


@pytest.mark.parametrize("name", [*(variant.__name__ for variant in VARIANTS), *IDEAS])
def test_a_model_from_a_recipe_is_that_of_the_constructor(name: str) -> None:
    variant = getattr(zoo, name, None) or idea(name)
    given = VARIANTS.get(variant) or IDEAS[name]
    defaults = {key: default for key, (_, default) in settings_of(variant).items()}
    assert plain_state(variant(**{**defaults, **given})) == plain_state(variant(**given))


def test_the_learning_rate_of_r3gan_falls_in_its_recipes() -> None:
    for recipe in ("r3gan_cifar10", "r3gan_stacked_mnist"):
        settings = load_recipe(recipe, {"model": {"widths": [], "width": 8, "group_size": 4}}).model.arguments
        schedule, end = zoo.R3GAN(**settings).schedule, settings["decay_images"]
        final = settings["lr_final"]
        assert [schedule.at(share * end // 2) for share in (0, 1, 2)] == pytest.approx([1, (1 + final) / 2, final])
