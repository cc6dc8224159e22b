"""The grid of a group: the seeds and the numbers joined by commas of a command line, one run for each combination.

A comma makes a grid where the setting is a single number: `model.width=32,64`. The check of the recipe decides whether
it is one: what is valid as it was typed keeps its meaning, such as the text `trainer.devices=0,1`; where the text is
refused and its first number alone is not, the numbers are the values of a grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

from zoo.config.arguments import parse_arguments
from zoo.config.values import Word, merged, number
from zoo.errors import RecipeError, UserError
from zoo.io.group_folder import Grid, run_names

SEED = "seed"
MOST = 100
"""Largest number of runs of a group."""

Load = Callable[[Mapping[str, Any]], Any]
"""A function that checks a recipe with overrides, and raises a `RecipeError` for its faults."""


def split_grid(load: Load, overrides: Mapping[str, Any], seeds: Any = None) -> tuple[dict[str, Any], Grid]:
    """Separate the settings that all runs share from those that make a grid.

    Args:
        load: function that checks the recipe with overrides.
        overrides: nested values that replace those of the recipe, as the command line gives them.
        seeds: seeds of the runs, see `seeds_of`; None if none were given.

    Returns:
        The overrides without the settings of the grid, and the grid, whose last setting is the seed; empty for one run.

    Raises:
        UserError: for faults of seeds, and for a grid of more than `MOST` runs.
    """
    given = {} if seeds is None else {SEED: seeds_of(seeds)}
    if given and SEED in overrides:
        raise UserError(f"seed={overrides[SEED]} and seeds={','.join(given[SEED])} exclude each other; leave one out")
    found = _find_axes(load, overrides)
    grid = {key: values for key, values in found.items() if key != SEED} | given
    if SEED in found:
        grid[SEED] = seeds_of(found[SEED])
    for key, values in grid.items():
        _refuse_twice(key, values)
    if (count := prod(map(len, grid.values()))) > MOST:
        sizes = " x ".join(f"{len(values)} of {key}" for key, values in grid.items())
        raise UserError(
            f"{count:,} runs in one group ({sizes}), which has at most {MOST}. Give fewer values, or several commands, "
            "each with some of them"
        )
    return _without(overrides, found), grid


def seeds_of(given: str | Sequence[int | str]) -> list[str]:
    """Return seeds as texts.

    Args:
        given: whole numbers joined by commas, such as "0,1,2", or a list of them.

    Raises:
        UserError: for anything else, or a seed that is given twice.
    """
    parts = given.split(",") if isinstance(given, str) else list(given)
    try:
        if any(isinstance(part, bool | float) for part in parts):
            raise ValueError
        seeds = [str(int(part)) for part in parts]
    except (ValueError, TypeError):
        seeds = []
    if not seeds:
        raise UserError(f"seeds: whole numbers joined by commas, such as seeds=0,1,2; got {given!r}")
    _refuse_twice("seeds", seeds)
    return seeds


def with_point(overrides: Mapping[str, Any], point: Mapping[str, str]) -> dict[str, Any]:
    """Return overrides with the settings of one run of a grid."""
    return merged(overrides, parse_arguments([f"{key}={value}" for key, value in point.items()]))


def diagonal(grid: Grid) -> Iterator[dict[str, str]]:
    """Yield as few points of a grid as have every value of every setting; without a grid the point without settings."""
    for i in range(max(map(len, grid.values()), default=1)):
        yield {key: values[min(i, len(values) - 1)] for key, values in grid.items()}


def points_apart_from_seed(grid: Grid) -> list[str]:
    """Return the names of those runs of a grid that have its first seed."""
    return list(run_names(grid | ({SEED: grid[SEED][:1]} if SEED in grid else {})))


def _find_axes(load: Load, overrides: Mapping[str, Any]) -> Grid:
    """Return the settings whose value is a list of numbers where a single number belongs, with the numbers as typed."""
    candidates = dict(_numbers_with_commas(overrides))
    faults = _faults(load, overrides) if candidates else set()

    def fits(key: str, value: str) -> bool:
        return _faults(load, with_point(overrides, {key: value})) < faults

    return {
        key: numbers
        for key, numbers in candidates.items()
        if fits(key, numbers[0]) and not fits(key, "true")  # a setting that is true or false takes numbers too
    }


def _numbers_with_commas(node: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield name and numbers of each text among nested values that consists of numbers joined by commas."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _numbers_with_commas(value, f"{prefix}{key}.")
        elif isinstance(value, str) and not isinstance(value, Word) and "," in value:
            parts = [part.strip() for part in value.split(",")]
            if all(number(part) is not None for part in parts):
                yield f"{prefix}{key}", parts


def _faults(load: Load, overrides: Mapping[str, Any]) -> set[str]:
    """Return the faults that the check of the recipe finds with these overrides."""
    try:
        load(overrides)
    except RecipeError as error:
        return set(error.faults)
    return set()


def _without(node: Mapping[Any, Any], names: Mapping[str, Any], prefix: str = "") -> dict[Any, Any]:
    """Return nested values without those of some dotted names."""
    return {
        key: _without(value, names, f"{prefix}{key}.") if isinstance(value, Mapping) and value else value
        for key, value in node.items()
        if f"{prefix}{key}" not in names
    }


def _refuse_twice(name: str, values: Sequence[str]) -> None:
    """Check that no value is given twice, in whatever spelling.

    Raises:
        UserError: naming the first that is.
    """
    seen: list[int | float | None] = []
    for value in values:
        if number(value) in seen:
            raise UserError(f"{name}: {value} is given twice in {','.join(values)}; each run needs a value of its own")
        seen.append(number(value))
