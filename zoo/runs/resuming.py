"""Find the checkpoint to resume from, and the recipe to resume with."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from zoo.config.recipe import Recipe
from zoo.errors import CheckpointError, RecipeError, UserError, first_line
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.changes import describe_changes, faults_of_changes, follow_images
from zoo.runs.locating import checkpoint_of
from zoo.runs.recipes import load_recipe
from zoo.runs.recording import whole_recipe
from zoo.runs.start_folder import paths_of_data

MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer")
"""Names under which torch's Adam and SGD keep the moments of a weight."""
RESTORING = ("load_state_dict", "_restore")
"""Names of the functions that restore a part of a run from a checkpoint."""


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
        if found := newest_readable(folder):
            return found
    return None


def newest_readable(folder: Path) -> Path | None:
    """Return the absolute path of the newest readable checkpoint of a run folder, and say which it passes over.

    Args:
        folder: the run folder.

    Returns:
        The checkpoint; None if there is none.
    """
    for path in checkpoints_in(folder):
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            print(f"skipped: {error}", file=sys.stderr)
            continue
        return path.absolute()
    return None


def check_optimizers(state: Mapping[str, Any], players: Sequence[str], start: Path) -> None:
    """Check that a checkpoint has the state of every player's optimizer. Lightning begins anew without those missing.

    Args:
        state: content of the checkpoint.
        players: names of the model's players.
        start: the checkpoint, for error messages.

    Raises:
        CheckpointError: if it has fewer or more.
    """
    saved = state.get("optimizer_states")
    if not isinstance(saved, list) or len(saved) != len(players):
        count = f"{len(saved)} optimizers" if isinstance(saved, list) else "no optimizers"
        raise CheckpointError(
            f"{start} cannot be resumed: it has the state of {count}, and this model one for each of "
            f"{', '.join(players)}. Fine-tune from its weights in a new run: pretrained=FILE"
        )


def check_moments(optimizers: Iterable[Optimizer], start: Path) -> None:
    """Check the restored moments of Adam and SGD, which torch takes as they are: tensors of their weights' shapes.

    All weights of an optimizer that have a state have the same moments.

    Args:
        optimizers: the optimizers, with the state of the checkpoint.
        start: the checkpoint, for error messages.

    Raises:
        CheckpointError: naming the first that is something else.
    """
    for optimizer in optimizers:
        if fault := _fault_of_moments(optimizer):
            raise CheckpointError(
                f"{start} cannot be restored ({fault}): its content was changed after it was written. Resume from an "
                "older checkpoint, resume=FILE, or fine-tune from its weights in a new run: pretrained=FILE"
            )


def _fault_of_settings(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return which restored setting of an optimizer, such as its betas, is missing or no number; else an empty text."""
    for key, default in defaults.items():
        values = group.get(key)
        if key not in group:
            return f"its optimizer has no {key}"
        if isinstance(default, tuple):
            if not isinstance(values, list | tuple) or len(values) != len(default):
                return f"{key} is {str(values)[:40]!r}, not {len(default)} numbers"
        elif isinstance(default, int | float):
            values = [values]
        else:
            continue
        if not all(isinstance(value, int | float | Tensor) for value in values):
            return f"{key} is {str(group[key])[:40]!r}, no number"
    return ""


def _fault_of_moments(optimizer: Optimizer) -> str:
    """Return what is wrong with the restored moments of an optimizer; an empty text if nothing is."""
    for group in optimizer.param_groups:
        if fault := _fault_of_settings(group, optimizer.defaults):
            return fault
    states = list(optimizer.state.items())
    for weight, values in states:
        if not isinstance(weight, Tensor):
            return f"there is a state of {weight!r}, which is no weight"
        if values.keys() != states[0][1].keys():
            missing = sorted(map(str, values.keys() ^ states[0][1].keys()))
            return f"not all of its weights have {' and '.join(missing)}"
        for key, value in values.items():
            if key not in MOMENTS or value is None:
                continue
            is_tensor = isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta
            if not is_tensor or value.shape != weight.shape:
                found = tuple(value.shape) if is_tensor else f"a {type(value).__name__}"
                return f"the {key} of a weight {tuple(weight.shape)} is {found}"
    return ""


@contextmanager
def restored_from(start: Path | None) -> Iterator[None]:
    """Refuse a checkpoint whose state cannot be restored: of optimizers, callbacks, data or loops.

    Args:
        start: the checkpoint; None for a new run.

    Raises:
        CheckpointError: in place of an error that was raised while the block restored the checkpoint.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if start is None or not _is_restoring(error):
            raise
        raise CheckpointError(
            f"{start} cannot be restored ({type(error).__name__}: {first_line(error)}): its content was changed after "
            "it was written, or it was written with other callbacks or by another version. Resume from an older "
            "checkpoint, resume=FILE, or fine-tune from its weights in a new run: pretrained=FILE"
        ) from error


def _is_restoring(error: Exception) -> bool:
    """Return whether an error comes from restoring a checkpoint: by Lightning, or in a function of `RESTORING`."""
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    # Lightning's module also writes checkpoints, which may end a run that diverged.
    by_lightning = [c for c in frames if Path(c.co_filename).stem == "checkpoint_connector" and "restore" in c.co_name]
    return bool(by_lightning) or any(c.co_name in RESTORING for c in frames)


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
