"""Read a recipe, apply overrides and check the result. A recipe is one YAML file that describes a complete run.

A recipe never inherits from another one: a run is described by its file and the overrides alone. `zoo.config.checking`
finds every fault of file and command line before anything is built, and reports all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zoo.config.checking import SECTIONS, Check
from zoo.config.class_names import class_path
from zoo.config.kinds import Kinds
from zoo.config.recipe import Recipe
from zoo.config.recipe_files import find_recipe, recipe_folder
from zoo.config.values import read_yaml
from zoo.errors import RecipeError


def read_recipe(where: str | Path, overrides: Mapping[str, Any] | None, kinds: Kinds) -> Recipe:
    """Read, override and check a recipe.

    Args:
        where: name or path of the recipe.
        overrides: nested values that replace those of the file, such as {"model": {"width": 32}}; None removes a
            callback, and a class may be given in place of its name.
        kinds: the base class of each section.

    Raises:
        RecipeError: with every fault that was found.
    """
    path = where if isinstance(where, Path) else find_recipe(where)
    overrides = {key: _names_for_classes(value) for key, value in (overrides or {}).items()}
    subject = str(path.stem if path.parent == recipe_folder() else path)
    if overrides:
        subject += " with " + " ".join(_as_arguments(overrides))
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = str(error).replace('"<unicode string>"', path.name)
        hint = "; indent with spaces, not with a tab" if "'\\t'" in reason else ""
        raise RecipeError(subject, [f"not readable as YAML: {reason}{hint}"]) from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise RecipeError(subject, ["a recipe is a mapping with the sections " + ", ".join(SECTIONS)])
    plain = {str(key): value for key, value in content.items()}
    faults = [*_faults_of_objects(plain), *_faults_of_objects(overrides)]
    if faults:
        raise RecipeError(subject, faults)
    return Check(subject, kinds).recipe(path.stem, plain, overrides)


def _faults_of_objects(node: Any, where: str = "") -> list[str]:
    """Return a fault for every value that no recipe can express, such as a tensor that is given from Python."""
    if isinstance(node, Mapping):
        items = [(str(key), value) for key, value in node.items()]
        return [fault for key, value in items for fault in _faults_of_objects(value, f"{where}.{key}".lstrip("."))]
    if isinstance(node, list | tuple):
        return [fault for i, value in enumerate(node) for fault in _faults_of_objects(value, f"{where}[{i}]")]
    if node == "???":  # to OmegaConf a missing value
        return [f"{where}: ??? stands for a value that is still to be given; give one"]
    if node is None or isinstance(node, bool | int | float | str | Path):
        return []
    return [
        f"{where}: a {type(node).__name__} cannot be written in a recipe; give a number, a text, true or false, a list "
        "or a mapping of them"
    ]


def _names_for_classes(node: Any) -> Any:
    """Replace classes among nested settings by their names, which a recipe can express."""
    if isinstance(node, dict):
        return {key: _names_for_classes(value) for key, value in node.items()}
    return class_path(node) if isinstance(node, type) else node


def _as_arguments(nested: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return nested values as the `key=value` arguments of a command line."""
    arguments = []
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            arguments += _as_arguments(value, f"{prefix}{key}.")
        else:
            text = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
            arguments.append(f"{prefix}{key}={text}")
    return arguments
