"""Find the checkpoint to resume from, and the recipe to resume with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.config.recipe import Recipe
from zoo.errors import CheckpointError, RecipeError, UserError
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.changes import describe_changes, faults_of_changes, follow_images
from zoo.runs.locating import checkpoint_of
from zoo.runs.recipes import load_recipe
from zoo.runs.recording import whole_recipe
from zoo.runs.start_folder import paths_of_data


def find_start(recipe: str | Path | None, resume: str | Path) -> Path | None:
    """Return the absolute path of the checkpoint to resume from.

    Args:
        recipe: name or path of the recipe whose runs "auto" searches.
        resume: a run folder, a checkpoint, or "auto" for the newest readable checkpoint of the recipe's runs.

    Returns:
        The checkpoint; None for "auto" if the recipe has no run yet.

    Raises:
        CheckpointError: if the given folder or file has no readable checkpoint.
        UserError: if "auto" is given without a recipe, or `resume` is a truth value.
    """
    if str(resume) in ("True", "False", "true", "false"):
        raise UserError("resume: a run folder or a checkpoint to go on with, or auto for the newest run of recipe=NAME")
    if str(resume) != "auto":
        path = checkpoint_of(resume).absolute()
        read_checkpoint(path)
        return path
    if recipe is None:
        raise UserError("resume=auto needs recipe=NAME, to know whose newest run is meant")
    for folder in sorted((Path("runs") / Path(recipe).stem).glob("*"), reverse=True):
        for path in checkpoints_in(folder):
            try:
                read_checkpoint(path)
            except CheckpointError as error:
                print(f"skipped: {error}", file=sys.stderr)
                continue
            return path.absolute()
    return None


def resumed_recipe(run: RunFolder, overrides: Mapping[str, Any]) -> Recipe:
    """Load the recipe of a run with overrides, which must not change its networks, its seed or its pretrained weights.

    Raises:
        CheckpointError: if the run folder has no recipe.
        RecipeError: listing every override that a resumed run cannot accept.
    """
    if not run.recipe.is_file():
        raise CheckpointError(
            f"{run.path} has no {run.recipe.name}, so it cannot be resumed; zoo.load_run may still load it"
        )
    whole_recipe(run.recipe)
    original = load_recipe(run.recipe)
    data = overrides.get("data") or {}
    if isinstance(data, Mapping) and (paths := paths_of_data(run, original, data)):
        overrides = {**overrides, "data": {**paths, **data}}
    changed = load_recipe(run.recipe, follow_images(original, overrides))
    faults = faults_of_changes(original, changed)
    if faults:
        raise RecipeError(f"resuming {run.path}", faults)
    starts = run.starts()
    changed.notes.extend(describe_changes(original, changed))
    return Recipe(**{**vars(changed), "name": starts[0]["recipe"] if starts else run.path.parent.name})
