"""The recipe files of the library: their folder, their names, and the description on the first line of each."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UserError, did_you_mean


def recipe_folder() -> Path:
    """Return the folder of the library's recipes: in an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the library's recipes, sorted."""
    return sorted(path.stem for path in recipe_folder().glob("*.yaml"))


def recipe_description(name: str) -> str:
    """Return the description of a recipe, which is the comment on its first line."""
    with open(recipe_folder() / f"{name}.yaml", encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()


def find_recipe(name: str) -> Path:
    """Return the file of a recipe.

    Args:
        name: name of a recipe of the library, or path of a file that ends in .yaml or .yml.

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
