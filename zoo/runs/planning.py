"""Plan a run from a recipe or from a run to resume, without building anything."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zoo.config.recipe import Recipe
from zoo.errors import UserError
from zoo.io.files import with_home
from zoo.io.run_folder import run_of
from zoo.runs.claiming import default_folder, refuse_folder_of_run
from zoo.runs.durations import PHOTOS, check_hours, refuse_hours_of_resumed
from zoo.runs.finetuning import recipe_of
from zoo.runs.hours import planned_overrides
from zoo.runs.photos.models import early
from zoo.runs.photos.plan import plan_photos
from zoo.runs.recipe_text import NO_RECIPE
from zoo.runs.recipes import load_recipe
from zoo.runs.resuming import find_start, resumed_recipe
from zoo.runs.training_run import Draft, Plan, settle


def plan_run(
    recipe: str | Path | None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    hours: float | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """Check everything that `fit` was asked for, without building anything; the arguments are those of `fit`.

    `recipe=photos` is planned later, by `Plan.claimed` or `Plan.settled`: it takes a while, and has a picture to show.

    Raises:
        UserError: for faults of the recipe, or if there is nothing to resume.
    """
    overrides = dict(overrides or {})
    refuse_hours_of_resumed(hours, resume)
    start = None if resume is None else find_start(recipe, resume)
    draft = None
    if start is not None:
        checked, folder = _plan_resumed_run(recipe, out, overrides, start)
        if hours is not None:
            checked.notes.append(
                f"hours={hours:g} is not used: {folder} goes on to its {checked.images:,} images. images=NUMBER gives "
                "it another length"
            )
    else:
        checked, folder, draft = _plan_new_run(recipe, out, overrides, hours)
    if draft is None:
        settle(checked)
    return Plan(checked, folder, start, is_default_folder=start is None and out is None, draft=draft)


def _plan_new_run(
    recipe: str | Path | None, out: str | Path | None, overrides: Mapping[str, Any], hours: float | None
) -> tuple[Recipe, Path, Draft | None]:
    """Load the recipe of a new run, plan its hours, and choose the run folder, which must not contain a run.

    Returns:
        The recipe, the folder, and for `recipe=photos` the function that makes the plan.
    """
    if recipe is None and overrides.get("pretrained"):
        recipe = recipe_of(str(overrides["pretrained"]))
    if recipe is None:
        raise UserError(NO_RECIPE)
    folder = None if out is None else with_home(out)
    if folder is not None:
        refuse_folder_of_run(folder)
    draft = None
    if str(recipe) == PHOTOS:
        if hours is not None:
            check_hours(hours, overrides)
        load = partial(load_recipe, recipe)
        checked, draft = load(early(overrides)), partial(plan_photos, load, overrides, hours)
    elif hours is None:
        checked = load_recipe(recipe, overrides)
    else:
        overrides, note = planned_overrides(partial(load_recipe, recipe), overrides, hours)
        checked = load_recipe(recipe, overrides)
        checked.notes.append(note)
    return checked, folder or default_folder(checked.name), draft


def _plan_resumed_run(
    recipe: str | Path | None, out: str | Path | None, overrides: Mapping[str, Any], start: Path
) -> tuple[Recipe, Path]:
    """Load the recipe of the run that contains the checkpoint `start`; a recipe that is also named must be the same."""
    if out is not None:
        raise UserError("out=FOLDER and resume= exclude each other: a resumed run goes on in its own folder")
    run = run_of(start)
    checked = resumed_recipe(run, overrides)
    if recipe is not None and Path(recipe).stem not in (checked.name, run.recipe.stem):
        raise UserError(
            f"{run.path} is a run of {checked.name}, not of {Path(recipe).stem}. Leave recipe= out to go on with "
            "it, or resume= to start a new run"
        )
    return checked, run.path
