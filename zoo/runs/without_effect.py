"""Settings of a model that its other settings leave without effect, said before a run begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.config.class_names import find_class
from zoo.config.recipe import Recipe
from zoo.config.settings import settings_of
from zoo.gan import GAN
from zoo.runs.changes import loop_settings
from zoo.training.augment import check_kinds

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """What settings need to have an effect.

    Args:
        names: the settings.
        holds: whether they have an effect, given all settings of the model and its class.
        reason: why they have none otherwise, for the user.
    """

    names: tuple[str, ...]
    holds: Callable[[Settings, type[GAN]], bool]
    reason: str


def penalised(settings: Settings, target: type[GAN]) -> bool:
    """Return whether a gradient penalty has a weight, or the class has a loss of its own, which may contain one."""
    wasserstein = settings.get("objective") == "wasserstein" and settings.get("penalty")
    own = target.discriminator_loss.__module__.partition(".")[0] != "zoo"
    return bool(settings.get("r1") or settings.get("r2") or wasserstein) or own


def augmented_by(*kinds: str) -> Callable[[Settings, type[GAN]], bool]:
    """Return a function that tells whether any of these augmentations is asked for, or one that does not exist."""

    def holds(settings: Settings, target: type[GAN]) -> bool:
        try:
            return not set(kinds).isdisjoint(check_kinds(settings.get("augment", ())))
        except ValueError:  # refused with its reason when the model is built
            return True

    return holds


CONDITIONS = (
    Condition(("penalty_every", "penalty_precision"), penalised, "no gradient penalty has a weight, see r1 and r2"),
    Condition(
        ("penalty", "target_norm"),
        lambda settings, target: settings.get("objective") == "wasserstein",
        "it belongs to objective=wasserstein",
    ),
    Condition(
        ("lr_final",),
        lambda settings, target: settings.get("lr_schedule") != "constant",
        "it belongs to lr_schedule=linear and lr_schedule=cosine",
    ),
    Condition(("augment_strength",), augmented_by("pipeline"), "it belongs to augment=pipeline"),
    Condition(
        ("augment_factors",),
        augmented_by("pipeline", "adaptive"),
        "it belongs to augment=pipeline and augment=adaptive",
    ),
    Condition(("ada_target", "ada_speed"), augmented_by("adaptive"), "it belongs to augment=adaptive"),
    Condition(
        ("average_start",),
        lambda settings, target: bool(settings.get("average_halflife")),
        "with average_halflife=0 there is no average",
    ),
)
"""Conditions of the settings that other settings can leave without effect."""


def note_settings_without_effect(recipe: Recipe) -> list[str]:
    """Return a line for each setting of a recipe's model, or of a mixture's members, that has no effect.

    Args:
        recipe: a checked recipe, in which every default is written out. Values that are the class's defaults are never
            named.
    """
    where, settings = loop_settings(recipe)
    target: Any = recipe.model.target if len(where) == 1 else find_class(str(settings["class"]), GAN)
    defaults = {name: default for name, (_, default) in settings_of(target).items()}
    return [
        f"{'.'.join(where)}.{name}={settings[name]} has no effect: {condition.reason}"
        for condition in CONDITIONS
        for name in condition.names
        if name in settings and settings[name] != defaults.get(name, settings[name])
        if not condition.holds(settings, target)
    ]
