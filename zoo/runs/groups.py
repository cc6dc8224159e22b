"""A group of runs: which runs a command asks for, its folder, and what is left to do when it is resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from zoo.config.class_names import class_path
from zoo.config.recipe_files import find_recipe
from zoo.config.values import Word, flattened, merged
from zoo.errors import UserError
from zoo.io.files import with_home
from zoo.io.group_folder import Grid, GroupFolder, run_names
from zoo.io.run_folder import checkpoints_in
from zoo.runs.claiming import claimed_folder, default_folder, refuse_folder_of_run
from zoo.runs.grids import SEED, seeds_of, split_grid, with_point

TYPED = "typed without quotes"
"""Key that marks, in the file of a plan, a text whose meaning the type of its setting decides (`Word`)."""
LoadRecipe = Callable[[str | Path, Mapping[str, Any]], Any]
"""A function that reads, overrides and checks a recipe."""


@dataclass(frozen=True)
class Group:
    """A group of runs that are trained one after another.

    Args:
        folder: the folder of the group, which need not exist.
        recipe: the recipe's file.
        overrides: values in place of the recipe's that all runs share.
        grid: values of the settings that differ.
        changes: settings that are given beside `resume=`, for the runs that had begun; they are among `overrides` too.
        is_default_folder: whether the folder has a default name, and gets a suffix if that is taken.
        is_new: whether the group has not begun.
    """

    folder: Path
    recipe: Path
    overrides: dict[str, Any]
    grid: Grid
    changes: dict[str, Any] = field(default_factory=dict)
    is_default_folder: bool = False
    is_new: bool = True

    @property
    def names(self) -> list[str]:
        """The names of all runs, in the order in which they are trained."""
        return list(run_names(self.grid))

    def describe(self) -> str:
        """Return a line about the group, and one with the name of each run."""
        count = f"{len(self.names)} runs" if len(self.names) > 1 else "1 run"
        head = f"{count} of {self.recipe.stem}, one after another, in {self.folder}"
        return "\n".join([head, *(f"  {name}" for name in self.names)])

    def options(self, name: str) -> dict[str, Any]:
        """Return what starts a run, or goes on with it: the arguments `recipe`, `out`, `resume`, `overrides`.

        Of several checkpoints, the newest that can be read is resumed.
        """
        folder = self.folder / name
        if checkpoints_in(folder):
            from zoo.runs.resuming import newest_readable  # imports torch

            return {"recipe": None, "resume": newest_readable(folder) or folder, "overrides": self.changes}
        overrides = with_point(self.overrides, run_names(self.grid)[name])
        return {"recipe": self.recipe, "out": folder, "overrides": overrides}

    @contextmanager
    def claimed(self) -> Iterator[Group]:
        """Create the folder, claim it and write the plan while the block runs.

        Yields:
            The group, in a folder with a suffix if the default name was taken, with the copy of its recipe.

        Raises:
            UserError: if another process trains in the folder, or it cannot be written.
        """
        with claimed_folder(self.folder, self.is_default_folder) as folder:
            if self.is_new:
                refuse_folder_of_run(folder)  # again: another process may have written it since
            try:
                copy = GroupFolder(folder).write(self.recipe, _plain(self.overrides), self.grid)
            except OSError as error:
                raise UserError(f"out: cannot write {folder}: {error.strerror or error}. Make room") from error
            yield replace(self, folder=folder, recipe=copy)


def asked_group(
    load: LoadRecipe,
    recipe: str | Path | None,
    *,
    resume: str | Path | None = None,
    out: str | Path | None = None,
    seeds: Any = None,
    overrides: Mapping[str, Any] | None = None,
    with_commas: bool = True,
) -> Group | None:
    """Return the group of runs that a command asks for; None if it asks for one run.

    Args:
        load: function that checks a recipe with overrides.
        recipe: name or path of the recipe; None where a group is resumed.
        resume: the folder of a group to go on with, "auto", or anything that is left to a single run.
        out: the folder of the group; None for `runs/RECIPE/TIME`.
        seeds: seeds of the runs, joined by commas or as a list; beside `resume`, seeds to add to the group.
        overrides: nested values that replace those of the recipe.
        with_commas: whether numbers joined by commas make a grid.

    Raises:
        UserError: for faults of the seeds, the grid or the folder.
    """
    given = dict(overrides or {})
    if resume is not None and str(resume) != "auto":
        return _named_group(load, recipe, resume, out, seeds, given)
    if recipe is None:
        if seeds is not None:
            raise UserError("seeds: name the recipe as well, recipe=NAME, or the group to go on with, resume=FOLDER")
        return None
    if str(recipe).startswith("~"):
        recipe = with_home(recipe)
    check = partial(load, recipe)
    shared, grid = split_grid(check, given, seeds) if with_commas else (given, {SEED: seeds_of(seeds)})
    if resume is not None and (started := _newest_group(Path(recipe).stem, shared, grid)):
        return _resumed(started, {} if grid else given, grid.get(SEED, []))
    if not grid:
        return None
    path = recipe if isinstance(recipe, Path) else find_recipe(str(recipe))
    if out is None:
        return Group(default_folder(path.stem), path, shared, grid, is_default_folder=True)
    refuse_folder_of_run(with_home(out))
    return Group(with_home(out), path, shared, grid)


def _named_group(
    load: LoadRecipe,
    recipe: str | Path | None,
    resume: str | Path,
    out: str | Path | None,
    seeds: Any,
    changes: dict[str, Any],
) -> Group | None:
    """Return the group whose folder is given; None for anything else."""
    group = GroupFolder(with_home(resume))
    if not group.is_group:
        if seeds is None:
            return None
        raise UserError(
            f"seeds: {resume} is no group of runs, to which seeds could be added. Leave seeds= out to go on with the "
            "run, or resume= to start a group"
        )
    if out is not None:
        raise UserError("out=FOLDER and resume= exclude each other: a resumed group goes on in its own folder")
    path, _, _ = group.read()
    if recipe is not None and Path(recipe).stem != path.stem:
        raise UserError(
            f"{group.path} is a group of {path.stem}, not of {Path(recipe).stem}. Leave recipe= out to go on with it, "
            "or resume= to start a new one"
        )
    shared, grid = split_grid(partial(load, path), changes, seeds)
    if added := [key for key in grid if key != SEED]:
        raise UserError(
            f"{', '.join(added)}: a group that is resumed keeps its grid; only seeds= adds runs to it. Give one "
            "number, or leave resume= out to start a new group"
        )
    return _resumed(group, shared, grid.get(SEED, []))


def _resumed(files: GroupFolder, changes: dict[str, Any], seeds: list[str]) -> Group:
    """Return a group that has begun, with further seeds and changed settings.

    Raises:
        UserError: if there are seeds, but the runs of the group do not differ in their seed; or a setting in which they
            differ.
    """
    path, recorded, grid = files.read()
    if together := [key for key in flattened(changes) if key in grid]:
        raise UserError(
            f"{', '.join(together)}: the runs of {files.path} differ in it, and would go on with one value in folders "
            "that are named after others. Leave it out, or leave resume= out to start a new group"
        )
    new = [seed for seed in seeds if seed not in grid.get(SEED, [])]
    if new and SEED not in grid:
        raise UserError(
            f"seeds: the runs of {files.path} have the seed of their recipe, so none can be added. Start a group with "
            "seeds=, without resume="
        )
    if new:
        grid = {**grid, SEED: [*grid[SEED], *new]}
    return Group(files.path, path, merged(_typed(recorded), changes), grid, changes, is_new=False)


def _newest_group(name: str, shared: dict[str, Any], grid: Grid) -> GroupFolder | None:
    """Return the group that `resume=auto` means.

    Args:
        name: name of the recipe.
        shared: settings that all runs are to share.
        grid: the grid that is asked for. Without one, the newest group counts if it is newer than every single run of
            the recipe; with one, the newest group of the same settings and grid, whatever its seeds.
    """
    for folder in sorted((Path("runs") / name).glob("*"), reverse=True):
        group = GroupFolder(folder)
        if group.is_group:
            _, recorded, its_grid = group.read()
            if not grid or (recorded == _plain(shared) and _without_seed(its_grid) == _without_seed(grid)):
                return group
        elif not grid and checkpoints_in(folder):
            return None
    return None


def _without_seed(grid: Grid) -> tuple[Grid, bool]:
    """Return a grid without its seeds, and whether it has any."""
    return {key: values for key, values in grid.items() if key != SEED}, SEED in grid


def _plain(node: Any) -> Any:
    """Return nested overrides as values that JSON can hold: a text without quotes is marked, a class is named."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    if isinstance(node, Word):
        return {TYPED: str(node)}
    if isinstance(node, type):
        return class_path(node)
    return str(node) if isinstance(node, Path) else node


def _typed(node: Any) -> Any:
    """Return nested overrides from values that `_plain` made."""
    if isinstance(node, Mapping):
        if set(node) == {TYPED}:
            return Word(node[TYPED])
        return {int(key) if key.isdecimal() else key: _typed(value) for key, value in node.items()}
    return [_typed(value) for value in node] if isinstance(node, list) else node
