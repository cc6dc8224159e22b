"""Settings of a model that its other settings leave without effect are named before a run begins."""

from __future__ import annotations

from typing import Any

import pytest

import zoo
from zoo.config.recipe_files import recipe_names
from zoo.runs.planning import plan_run
from zoo.runs.recipes import load_recipe
from zoo.runs.without_effect import note_settings_without_effect


class OwnPenalty(zoo.DCGAN):
    """A class whose loss may contain a penalty of its own."""

    def discriminator_loss(self, real: Any, fake: Any) -> Any:
        return super().discriminator_loss(real, fake)


def notes(recipe: str = "dcgan_digits", **model: Any) -> list[str]:
    return note_settings_without_effect(load_recipe(recipe, {"model": model}))


@pytest.mark.parametrize(
    ("model", "note"),
    [
        (
            {"penalty_every": 16, "r1": 0},
            "model.penalty_every=16 has no effect: no gradient penalty has a weight, see r1 and r2",
        ),
        (
            {"lr_schedule": "constant", "lr_final": 0.1},
            "model.lr_final=0.1 has no effect: it belongs to lr_schedule=linear and lr_schedule=cosine",
        ),
        (
            {"augment": "adaptive", "augment_strength": 0.5},
            "model.augment_strength=0.5 has no effect: it belongs to augment=pipeline",
        ),
        (
            {"augment": ["color"], "augment_factors": {"hue": 0.5}},
            "model.augment_factors={'hue': 0.5} has no effect: it belongs to augment=pipeline and augment=adaptive",
        ),
        (
            {"augment": "pipeline", "ada_target": 0.7},
            "model.ada_target=0.7 has no effect: it belongs to augment=adaptive",
        ),
        (
            {"average_halflife": 0, "average_start": 500},
            "model.average_start=500 has no effect: with average_halflife=0 there is no average",
        ),
    ],
)
def test_a_setting_without_effect_is_named(model: dict[str, Any], note: str) -> None:
    assert notes(**model) == [note]


def test_a_penalty_of_wasserstein_has_no_effect_on_another_objective() -> None:
    note = "model.penalty=5.0 has no effect: it belongs to objective=wasserstein"
    assert notes("wgan_gp_digits", objective="hinge", penalty=5.0) == [note]
    assert notes("wgan_gp_digits", penalty=5.0, penalty_every=4) == []


def test_settings_of_the_members_of_a_mixture_are_looked_at() -> None:
    note = "model.base.ada_speed=1000 has no effect: it belongs to augment=adaptive"
    assert notes("mix_dcgan_digits", base={"ada_speed": 1000}) == [note]


@pytest.mark.parametrize(
    "model",
    [
        {"r2": 1.0, "penalty_every": 4, "penalty_precision": "mixed"},
        {"augment": "adaptive", "augment_factors": {"hue": 0.5}, "ada_target": 0.5},
        {"augment": ["pipeline"], "augment_strength": 0.4},
        {"augment": "colour", "augment_strength": 0.4},  # refused when the model is built
        {"class": f"{__name__}.OwnPenalty", "r1": 0, "penalty_every": 4},
    ],
)
def test_a_setting_that_has_an_effect_is_not_named(model: dict[str, Any]) -> None:
    assert notes(**model) == []


def test_no_recipe_of_the_library_has_a_setting_without_effect() -> None:
    for name in recipe_names():
        assert notes(name) == [], name


def test_the_notes_are_printed_before_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    plan_run("dcgan_digits", overrides={"model": {"r1": 0, "penalty_every": 4}}).print_notes()
    assert "note: model.penalty_every=4 has no effect" in capsys.readouterr().out
