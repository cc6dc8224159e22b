"""The folder that a run was started in, from which the relative paths in its recipe are seen."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.config.recipe import Recipe
from zoo.data import Images
from zoo.data.shards import expanded
from zoo.errors import DataError
from zoo.io.run_folder import RunFolder

PATHS = ("root", "data_dir", "urls", "test_urls", "name", "cache")
"""Settings of sources of images that are paths, patterns of paths, or names that may be paths."""
MADE = ("cache", "name")
"""Those of them at which there need not be anything: a cache is made, and a name may be one of the hub."""


def paths_of_data(run: RunFolder, recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the relative paths of a run's data as absolute paths, if this process is in another folder than the run.

    A path is seen from where the run was last started, or from here if nothing is there: the project may have moved.

    Args:
        run: the run folder.
        recipe: the recipe of the run.
        given: settings of the section `data` that the user gives, which count in place of the recipe's.

    Returns:
        The settings to replace, such as {"root": "/home/me/photos"}; empty if there are none.

    Raises:
        DataError: if there is nothing at a path, seen from either folder, and it will not be downloaded.
    """
    arguments, changes = recipe.data.arguments, {}
    if "class" in given:
        return {}
    for key in PATHS:
        value = arguments.get(key)
        if key in given or not isinstance(value, str) or _is_seen_alike(value):
            continue
        started_in = next((start["folder"] for start in reversed(run.starts()) if "folder" in start), None)
        if started_in is not None and is_there(Path(started_in) / value):
            if Path(started_in) != Path.cwd():
                changes[key] = str(Path(started_in) / value)
        elif key not in MADE and not is_there(Path(value)) and _must_exist(recipe):
            place = "the folder that it was started in, which it did not record" if started_in is None else started_in
            raise DataError(
                f"the run read data.{key}={value} as seen from {place}; there is nothing at this path there, nor from "
                f"here. Say where the images are: data.{key}=FOLDER"
            )
    return changes


def _is_seen_alike(value: str) -> bool:
    """Return whether a setting means the same from every folder: an address, an absolute path, or nothing."""
    return not value or value.startswith("~") or "://" in value or Path(value).is_absolute()


def is_there(path: Path) -> bool:
    """Return whether there is anything at a path, or at the first part of a pattern with braces or stars.

    A folder whose own name has brackets or braces is no pattern.
    """
    if path.exists():
        return True
    first = expanded(str(path))[0]
    return bool(glob.glob(first)) if glob.has_magic(first) else Path(first).exists()


def _must_exist(recipe: Recipe) -> bool:
    """Return whether the data of a recipe are read from its path, and neither downloaded nor made by a user's class."""
    target: Any = recipe.data.target
    is_ours = isinstance(target, type) and issubclass(target, Images)
    return is_ours and not recipe.data.arguments.get("download", False)
