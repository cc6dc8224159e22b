"""Find, read and override a recipe: one YAML file that is a whole run.

A recipe never inherits: what is in the file is what runs. `zoo.config.checking` finds every fault of file and command
line before anything is built, and reports all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoo.config.checking import SECTIONS, Check
from zoo.config.class_names import class_path
from zoo.config.kinds import Kinds
from zoo.config.recipe import Recipe
from zoo.errors import RecipeError, UserError, did_you_mean

# --- reading ---------------------------------------------------------------------------------------------------------


def recipe_folder() -> Path:
    """Where the recipes of the zoo lie: inside an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the zoo."""
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def find_recipe(name: str) -> Path:
    """The file of a recipe, given by its name or by its path.

    Raises:
        UserError: when there is no such recipe.
    """
    if name.endswith((".yaml", ".yml")):
        if Path(name).is_file():
            return Path(name)
        raise UserError(f"there is no recipe file {name}")
    if name in recipe_names():
        return recipe_folder() / f"{name}.yaml"
    raise UserError(
        f"there is no recipe called {name!r}.{did_you_mean(name, recipe_names())} `python -m zoo` lists all; a file of "
        "your own is given by its path, ending in .yaml"
    )


def read_recipe(where: str | Path, overrides: Mapping[str, Any] | None, kinds: Kinds) -> Recipe:
    """Read, override and check a recipe.

    Args:
        where: its name or path.
        overrides: nested values that replace the file's, such as {"model": {"width": 32}}; None removes a callback. A
            class stands for its name.
        kinds: the base class of each section.

    Raises:
        RecipeError: with every fault that was found.
    """
    path = where if isinstance(where, Path) else find_recipe(where)
    overrides = {key: _with_names(value) for key, value in (overrides or {}).items()}
    subject = str(path.stem if path.parent == recipe_folder() else path)
    if overrides:
        subject += " with " + " ".join(_as_words(overrides))
    try:
        written = OmegaConf.load(path)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise RecipeError(subject, [f"not readable as YAML: {error}"]) from error
    content = OmegaConf.to_container(written, resolve=False)
    if not isinstance(content, dict):
        raise RecipeError(subject, ["a recipe is a mapping with the sections " + ", ".join(SECTIONS)])
    plain = {str(key): value for key, value in content.items()}
    return Check(subject, kinds).recipe(path.stem, plain, overrides)


def _with_names(node: Any) -> Any:
    """Settings in which classes have become names, which is what a recipe can write down."""
    if isinstance(node, dict):
        return {key: _with_names(value) for key, value in node.items()}
    return class_path(node) if isinstance(node, type) else node


def _as_words(nested: Mapping[str, Any], prefix: str = "") -> list[str]:
    words = []
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            words += _as_words(value, f"{prefix}{key}.")
        else:
            shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
            words.append(f"{prefix}{key}={shown}")
    return words
