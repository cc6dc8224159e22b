"""Load a recipe of this library: a GAN, a source of images, callbacks and loggers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.config.class_names import find_class, import_class
from zoo.config.loading import read_recipe
from zoo.config.recipe import Recipe
from zoo.io.files import with_home
from zoo.runs.recipe_text import recipe_kinds

KINDS = recipe_kinds(import_class, find_class)


def load_recipe(where: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read, override and check a recipe.

    Args:
        where: name or path of the recipe.
        overrides: nested values that replace those of the file, such as {"model": {"width": 32}}; None removes a
            callback, and a class may be given in place of its name.

    Raises:
        RecipeError: with every fault that was found.
    """
    if str(where).startswith("~"):
        where = str(with_home(where))
    return read_recipe(where, overrides, KINDS)
