"""Find the runs that are to be compared, and group those that differ in nothing but their seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.config.values import flattened
from zoo.errors import UserError, shell_word
from zoo.io.files import with_home
from zoo.io.group_folder import GroupFolder
from zoo.io.run_folder import RunFolder
from zoo.runs.comparing.readings import Record, read_evaluation, read_record
from zoo.runs.history import read_run

OBSERVING = ("SampleGrid", "SampleMetrics", "SaveEvery")
"""Callbacks that only look at a run: their settings may differ between runs that are pooled."""
WITHOUT_EFFECT = ("trainer.threads", "trainer.log_every_n_steps", "trainer.enable_progress_bar", "data.cache")
"""Settings that may differ between runs that are pooled."""
MOST_SHOWN = 4
"""Largest number of settings in the name of a group."""


@dataclass(frozen=True)
class ComparedRun:
    """A run, or a file of numbers.

    Args:
        path: its folder or file, as it was given.
        recipe: name of the recipe; the name of a file that names no run.
        seed: seed of the run; None for a file that names no run.
        settings: all settings that the result depends on, except the seed, by their dotted names.
        images: length of the run, in images; 0 for a file.
        record: its numbers.
    """

    path: Path
    recipe: str
    seed: int | None
    settings: Mapping[str, Any]
    images: int
    record: Record


@dataclass(frozen=True)
class RunGroup:
    """Runs that differ in nothing but their seed.

    Args:
        name: the recipe, and the settings in which the compared groups differ.
        runs: the runs, each with a seed of its own.
    """

    name: str
    runs: Sequence[ComparedRun]


def find_runs(places: Sequence[str | Path]) -> tuple[list[ComparedRun], list[str]]:
    """Read the runs that are named.

    Args:
        places: run folders, folders of groups, folders with runs or groups in them, and files of `zoo.evaluate`.

    Returns:
        The runs, each once, and notes about those that are left out.

    Raises:
        UserError: for a place without runs.
    """
    paths: dict[Path, Path] = {}
    notes: list[str] = []
    for place in places:
        found, said = _paths_at(with_home(place))
        notes += said
        for path in found:
            paths.setdefault(path.resolve(), path)
    return [_read(path) for path in paths.values()], notes


def _paths_at(path: Path) -> tuple[list[Path], list[str]]:
    """Return the run folders and files at a place, and notes about runs that have not begun."""
    if path.is_file():
        return [path], []
    if not path.is_dir():
        raise UserError(f"there is no run folder, group or file {path}")
    group = GroupFolder(path)
    if group.is_group:
        runs = group.runs()
        begun = {name: run for name, run in runs.items() if RunFolder(run).recipe.is_file()}
        missing = [name for name in runs if name not in begun]
        notes = [f"{path}: {len(missing)} of {len(runs)} runs have not begun: {'; '.join(missing)}"] if missing else []
        if not begun:
            raise UserError(f"{path} is a group of which no run has begun: python -m zoo.fit resume={shell_word(path)}")
        return list(begun.values()), notes
    if RunFolder(path).recipe.is_file():
        return [path], []
    below = [_paths_at(each) for each in sorted(path.iterdir()) if _has_runs(each)]
    if not below:
        raise UserError(f"{path} is no run folder, and there are no runs in it; `python -m zoo.fit` makes them")
    return [run for runs, _ in below for run in runs], [note for _, notes in below for note in notes]


def _has_runs(path: Path) -> bool:
    """Return whether a folder is that of a run, or of a group of which a run has begun."""
    group = GroupFolder(path)
    if group.is_group:
        return any(RunFolder(run).recipe.is_file() for run in group.runs().values())
    return path.is_dir() and RunFolder(path).recipe.is_file()


def _read(path: Path) -> ComparedRun:
    """Read a run, or a file of numbers, which records the run that was measured."""
    if path.is_dir():
        history = read_run(path)
        about = described_run(path)
        return ComparedRun(path, **about, images=int(history.recipe["images"]), record=read_record(history))
    readings = read_evaluation(path)
    record = Record(at={"given": readings}, images_seen=max((r.images_seen for r in readings), default=0))
    about = json.loads(path.read_text(encoding="utf-8")).get("run")
    folder = path.resolve().parent.parent
    if not _is_description(about) and RunFolder(folder).recipe.is_file():  # of an earlier version, in its run's folder
        about = described_run(folder)
    if not _is_description(about):
        about = {"recipe": path.stem, "seed": None, "settings": {"file": str(path)}}
    return ComparedRun(path, about["recipe"], about["seed"], about["settings"], 0, record)


def _is_description(about: Any) -> bool:
    """Return whether a value is a description of a run, as `described_run` returns it."""
    return isinstance(about, dict) and isinstance(about.get("settings"), dict) and {"recipe", "seed"} <= about.keys()


def described_run(folder: Path) -> dict[str, Any]:
    """Return the name of a run's recipe, its seed, and all other settings that its result depends on.

    Args:
        folder: the run folder.

    Raises:
        CheckpointError: if it has no readable recipe.
    """
    recipe, starts = read_run(folder).recipe, RunFolder(folder).starts()
    name = starts[0]["recipe"] if starts else folder.resolve().parent.name
    return {"recipe": name, "seed": int(recipe["seed"]), "settings": _settings(recipe)}


def _settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the result of a run depends on, except its seed, by their dotted names."""
    sections = {key: recipe.get(key) for key in ("images", "pretrained", "model", "data", "trainer")}
    callbacks = recipe.get("callbacks") or {}
    sections["callbacks"] = {
        name: part for name, part in callbacks.items() if part and part.get("class", name) not in OBSERVING
    }
    flat = {key: value for key, value in flattened(sections).items() if key not in WITHOUT_EFFECT}
    # The seeds of model and data follow that of the run.
    seeds = [key for key in flat if key.endswith(".seed") and key.startswith(("model.", "data."))]
    return {key: value for key, value in flat.items() if key not in seeds}


def group_runs(runs: Sequence[ComparedRun]) -> tuple[list[RunGroup], list[str]]:
    """Group the runs that differ in nothing but their seed, in the order in which they were given.

    Returns:
        The groups, and notes about runs that are counted once.
    """
    alike: dict[str, list[ComparedRun]] = {}
    notes = []
    for run in runs:
        group = alike.setdefault(repr(sorted(run.settings.items(), key=str)), [])
        at = next((i for i, other in enumerate(group) if other.seed == run.seed), None)
        if at is None:
            group.append(run)
        else:
            group[at], uncounted = _joined(group[at], run)
            notes += uncounted
    names = _names([group[0] for group in alike.values()])
    return [RunGroup(name, group) for name, group in zip(names, alike.values())], notes


def _joined(run: ComparedRun, twin: ComparedRun) -> tuple[ComparedRun, list[str]]:
    """Return a run with the numbers of a file of the same settings and seed that it has not, and a note on the rest."""
    known = {reading.measurement for reading in run.record.measured}
    others = [reading for reading in twin.record.at.get("given", ()) if reading.measurement not in known]
    if not others:
        return run, [f"{twin.path} has the settings and the seed of {run.path}, which alone is counted"]
    given = [*run.record.at.get("given", ()), *others]
    joined = replace(run, record=replace(run.record, at={**run.record.at, "given": given}))
    rest = len(twin.record.measured) - len(others)
    note = f"{twin.path}: {rest} of its numbers were measured in {run.path} too, which alone count"
    return joined, [note] if rest else []


def _names(runs: Sequence[ComparedRun]) -> list[str]:
    """Return a name for each of several runs: its recipe, the settings that differ, or both if one does not tell."""
    recipes = [run.recipe for run in runs]
    if len(set(recipes)) == len(recipes):
        return recipes
    with_recipe = len(set(recipes)) > 1
    names: list[str] = []
    for run in runs:
        of_recipe = [other for other in runs if other.recipe == run.recipe]
        keys = list(dict.fromkeys(key for other in of_recipe for key in other.settings))
        different = [key for key in keys if len({str(other.settings.get(key)) for other in of_recipe}) > 1]
        parts = [f"{key}={run.settings.get(key)}" for key in different[:MOST_SHOWN]]
        rest = len(different) - MOST_SHOWN
        name = ", ".join([*([run.recipe] if with_recipe else []), *parts, *([f"{rest} more"] if rest > 0 else [])])
        names.append(name if name not in names else f"{name} ({run.path})")
    return names
