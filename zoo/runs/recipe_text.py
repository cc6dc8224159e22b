"""Check the text of a recipe before torch and Lightning are imported, which takes seconds.

The check is the one of `zoo.runs.recipes`, with stand-ins of the classes, so that it finds the same faults and reports
them in the same words. A recipe that passes is checked again when the classes are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.config.class_names import public_class
from zoo.config.kinds import Kind, Kinds
from zoo.config.loading import read_recipe
from zoo.config.stand_ins import NoStandInError, forget, stand_in
from zoo.errors import UserError
from zoo.io.files import with_home
from zoo.runs.claiming import refuse_folder_of_run
from zoo.runs.durations import check_hours
from zoo.runs.grids import diagonal, seeds_of, split_grid, with_point
from zoo.training.precision import precision_fault
from zoo.training.strategies import strategy_fault

NO_RECIPE = "name a recipe, such as recipe=dcgan_digits; `python -m zoo` lists them"


def recipe_kinds(load: Callable[[str], Any], find: Callable[..., Any]) -> Kinds:
    """Return what each section of a recipe may name.

    Args:
        load: function that returns the class of an import path, or a stand-in of it.
        find: function that returns the class that a recipe names, or a stand-in of it.
    """
    gan, images = load("zoo.gan.GAN"), load("zoo.data.images.Images")
    return Kinds(
        model=Kind(gan, "a GAN"),
        data=Kind(load("pytorch_lightning.LightningDataModule"), "a source of images"),
        source=images,
        callback=Kind(load("pytorch_lightning.Callback"), "a Lightning callback"),
        logger=Kind(load("pytorch_lightning.loggers.Logger"), "a Lightning logger"),
        trainer=load("pytorch_lightning.Trainer"),
        abstract=(gan, images, load("zoo.callbacks.every.Every")),
        precision_fault=precision_fault,
        strategy_fault=strategy_fault,
        find=find,
    )


def check_text(
    recipe: str | Path | None = None,
    resume: str | Path | None = None,
    out: str | Path | None = None,
    seeds: Any = None,
    **overrides: Any,
) -> None:
    """Find the faults of new runs that recipe and names of files show; `zoo.runs.fitting.main` has the same arguments.

    A run that is resumed, a recipe that is found by a release, and one with a class of the user's own are left to
    `zoo.runs.planning.plan_run`: all faults of a recipe are reported together.

    Raises:
        UserError: for a fault.
    """
    overrides.pop("check", None)
    hours = overrides.pop("hours", None)
    if hours is not None:
        check_hours(hours, overrides)
    if seeds is not None:
        seeds_of(seeds)
    if resume is not None or (recipe is None and overrides.get("pretrained")):
        return
    if recipe is None:
        raise UserError(NO_RECIPE)
    if str(recipe).startswith("~"):
        recipe = with_home(recipe)
    where, kinds = recipe, recipe_kinds(stand_in, _find_stand_in)

    def load(changes: Mapping[str, Any]) -> Any:
        return read_recipe(where, changes, kinds)

    try:
        shared, grid = split_grid(load, overrides, seeds)
        for point in diagonal(grid):
            load(with_point(shared, point))
    except NoStandInError:
        return
    finally:
        forget()
    if out is not None:
        refuse_folder_of_run(with_home(out))


def _find_stand_in(name: str, kind: type = object) -> Any:
    """Return the stand-in of a public class.

    Raises:
        UserError: when there is no such class.
        NoStandInError: for a class by its import path, which has to be imported.
    """
    if "." in name:
        raise NoStandInError(name)
    return public_class(name, kind, stand_in)
