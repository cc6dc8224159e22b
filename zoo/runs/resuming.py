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
from zoo.runs.locating import checkpoint_of
from zoo.runs.recipes import load_recipe
from zoo.runs.recording import whole_recipe


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
    if str(resume) in ("True", "False"):
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
    """Load the recipe of a run with overrides, which must not change its model, its seed or its pretrained weights.

    Raises:
        CheckpointError: if the run folder has no recipe.
        RecipeError: listing every override that a resumed run cannot accept.
    """
    if not run.recipe.is_file():
        raise CheckpointError(
            f"{run.path} has no {run.recipe.name}, so it cannot be resumed; zoo.load_run may still load it"
        )
    whole_recipe(run.recipe)
    original, changed = load_recipe(run.recipe), load_recipe(run.recipe, overrides)
    faults = [
        f"model.{key}: {original.model.arguments.get(key)!r} in the run, {value!r} now; a resumed run keeps its model"
        for key, value in changed.model.arguments.items()
        if original.model.arguments.get(key) != value
    ]
    if original.model.target is not changed.model.target:
        faults = ["model.class: a resumed run keeps its model"]
    if original.pretrained != changed.pretrained:
        faults.append("pretrained: a resumed run goes on with its own weights; leave it out, or resume= for a new run")
    if original.seed != changed.seed:
        faults.append(f"seed: {original.seed} in the run, {changed.seed} now; a resumed run keeps its seed")
    if faults:
        raise RecipeError(f"resuming {run.path}", faults)
    starts = run.starts()
    return Recipe(**{**vars(changed), "name": starts[0]["recipe"] if starts else run.path.parent.name})
