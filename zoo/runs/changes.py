"""What may change when a run is resumed: everything but its networks. The learning rate must not end before the run.

A setting belongs to the networks unless it is one of the training loop (`zoo.GAN`) or one that only the losses of the
variant read (`GAN.loss_settings`). Adam's betas count as the networks': the state of the optimizers belongs to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.config.class_names import find_class
from zoo.config.recipe import Recipe
from zoo.config.settings import settings_of
from zoo.config.values import flattened
from zoo.config.wrapping import member_section
from zoo.gan import GAN

KEPT = ("resolution", "channels", "latent_dim", "num_classes", "betas", "seed")
"""Settings of `zoo.GAN` that a resumed run keeps."""


def follow_images(recipe: Recipe, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides in which the end of the learning rate follows a new length of the run, as in the run's recipe.

    Run folders of version 0.1.0 have the number in place of the reference `${images}`. A horizon that is the length of
    the run is taken for such a reference.

    Args:
        recipe: recipe of the run.
        overrides: nested values that replace those of the recipe.
    """
    where, settings = loop_settings(recipe)
    given: Any = overrides
    for key in where:
        given = given.get(key) if isinstance(given, Mapping) else None
    if not isinstance(given or {}, Mapping) or "lr_horizon" in (given or {}) or "images" not in overrides:
        return dict(overrides)
    if settings.get("lr_schedule") == "constant" or settings.get("lr_horizon") != recipe.images:
        return dict(overrides)
    section: dict[str, Any] = {**(given or {}), "lr_horizon": "${images}"}
    if len(where) > 1:
        section = {**(overrides.get("model") or {}), "base": section}
    return {**overrides, "model": section}


def faults_of_changes(original: Recipe, changed: Recipe) -> list[str]:
    """Return the reasons why a run with the recipe `original` cannot go on with the recipe `changed`."""
    before, after = flattened(original.model.arguments, "model"), flattened(changed.model.arguments, "model")
    free = _free_settings(original)
    faults = [
        f"{key}: {before.get(key)!r} in the run, {after.get(key)!r} now; a resumed run keeps its model"
        for key in {**before, **after}
        if before.get(key) != after.get(key) and key not in free
    ]
    if original.model.target is not changed.model.target:
        faults = ["model.class: a resumed run keeps its model"]
    if original.pretrained != changed.pretrained:
        faults.append("pretrained: a resumed run goes on with its own weights; leave it out, or resume= for a new run")
    if original.seed != changed.seed:
        faults.append(f"seed: {original.seed} in the run, {changed.seed} now; a resumed run keeps its seed")
    where, settings = loop_settings(changed)
    horizon = settings.get("lr_horizon", 0)
    falls_to_0 = settings.get("lr_schedule", "constant") != "constant" and not settings.get("lr_final")
    if changed.images > original.images >= horizon > 0 and falls_to_0:
        key = f"{'.'.join(where)}.lr_horizon"
        faults.append(
            f"{key}: the learning rate is 0 from {horizon:,} images on, so nothing would be learnt from "
            f"{original.images:,} to {changed.images:,} images; give {key}={changed.images} as well"
        )
    return faults


def describe_changes(original: Recipe, changed: Recipe) -> list[str]:
    """Return one line that names every setting with its values in the run and now; no line if none has changed."""
    before, after = flattened(original.sections()), flattened(changed.sections())
    followers = {".".join(map(str, keys)) for keys, text in changed.references.items() if text == "${images}"}
    differences = [
        f"{key} {_shown(before.get(key))} -> {_shown(after.get(key))}{' (follows images)' if key in followers else ''}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]
    return [f"other settings than the run had: {', '.join(differences)}"] if differences else []


def note_early_end(recipe: Recipe) -> list[str]:
    """Return a line about a learning rate that reaches 0 before the end of the run; no line if it does not."""
    where, settings = loop_settings(recipe)
    horizon = settings.get("lr_horizon", 0)
    falls_to_0 = settings.get("lr_schedule", "constant") != "constant" and not settings.get("lr_final")
    if not falls_to_0 or not 0 < horizon < recipe.images:
        return []
    key = f"{'.'.join(where)}.lr_horizon"
    return [
        f"{key}={horizon} lies before images={recipe.images}: the learning rate is 0 for the last "
        f"{recipe.images - horizon:,} images; {key}={recipe.images} lets it fall over the whole run"
    ]


def loop_settings(recipe: Recipe) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return the settings of the training loop and the keys of their section: the model's, or those of its base."""
    return member_section(recipe.model.arguments)


def _free_settings(recipe: Recipe) -> set[str]:
    """Return the settings of a model, and of its base, that are no part of the networks."""
    loop = set(settings_of(GAN)) - set(KEPT)
    target: Any = recipe.model.target
    free = {f"model.{name}" for name in loop | set(target.loss_settings)}
    base = recipe.model.arguments.get("base")
    if isinstance(base, Mapping):
        free |= {f"model.base.{name}" for name in loop | set(find_class(str(base["class"]), GAN).loss_settings)}
    return free


def _shown(value: Any) -> str:
    """Return a value as a text for the user."""
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
