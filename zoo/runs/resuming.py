"""Load a run from its folder, and find the checkpoint to resume from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.config.class_names import find_class
from zoo.config.recipe import Recipe
from zoo.errors import CheckpointError, RecipeError, UserError
from zoo.gan import GAN
from zoo.io.checkpoints import load_weights, read_checkpoint
from zoo.io.run_folder import RunFolder, checkpoints_in, run_of
from zoo.runs.recipes import load_recipe


def load_run(where: str | Path) -> GAN:
    """The model of a run folder, as its newest checkpoint has it; or of one checkpoint file.

    The class is taken from the run's own recipe; for a checkpoint that lies alone, only classes of the zoo are built.

    Raises:
        CheckpointError: when there is no checkpoint, or it is damaged or belongs to another class.
    """
    path = newest_checkpoint(where)
    state = read_checkpoint(path)
    saved = run_of(path).recipe
    if saved.is_file():
        model: GAN = load_recipe(saved).model.build()
    else:
        module, _, name = str(state["zoo"]["class"]).rpartition(".")
        if not module.startswith("zoo."):
            raise CheckpointError(
                f"{path} holds a {name} of {module}, which is no class of the zoo, and no run folder around it names "
                "it. Load it from its run folder, or build the model and call load_state_dict"
            )
        model = find_class(name)(**state["hyper_parameters"])
    load_weights(model, state, path)
    model.on_load_checkpoint(state)
    return model.eval()


def newest_checkpoint(where: str | Path) -> Path:
    """The checkpoint meant by a run folder or a checkpoint file.

    Raises:
        CheckpointError: when there is none.
    """
    path = Path(where)
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"there is no run folder or checkpoint {path}")
    found = checkpoints_in(path)
    if not found:
        raise CheckpointError(f"{path} has no checkpoints; a run folder keeps them in checkpoints/*.ckpt")
    return found[0]


def find_start(recipe: str | Path | None, resume: str | Path) -> Path | None:
    """The checkpoint to resume from; None for "auto" when this recipe has no run yet.

    Raises:
        CheckpointError: when a given place has no readable checkpoint.
    """
    if str(resume) in ("True", "False"):
        raise UserError("resume: a run folder or a checkpoint to go on with, or auto for the newest run of recipe=NAME")
    if str(resume) != "auto":
        path = newest_checkpoint(resume).absolute()
        read_checkpoint(path)
        return path
    if recipe is None:
        raise UserError("resume=auto needs recipe=NAME, to know whose newest run is meant")
    for folder in sorted((Path("runs") / Path(recipe).stem).glob("*"), reverse=True):
        for path in checkpoints_in(folder):
            try:
                read_checkpoint(path)
            except CheckpointError as error:
                print(f"passed over: {error}", file=sys.stderr)
                continue
            return path.absolute()
    return None


def _resumed_recipe(folder: Path, overrides: Mapping[str, Any]) -> Recipe:
    """The run's own recipe with changes that leave its networks and its randomness alone."""
    saved = RunFolder(folder).recipe
    if not saved.is_file():
        raise CheckpointError(f"{folder} has no recipe.yaml, so it cannot be resumed; zoo.load_run may still load it")
    own, changed = load_recipe(saved), load_recipe(saved, overrides)
    faults = [
        f"model.{key}: {own.model.arguments.get(key)!r} in the run, {value!r} now; a resumed run keeps its model"
        for key, value in changed.model.arguments.items()
        if own.model.arguments.get(key) != value
    ]
    if own.model.target is not changed.model.target:
        faults = ["model.class: a resumed run keeps its model"]
    if own.pretrained != changed.pretrained:
        faults.append("pretrained: a resumed run goes on with its own weights; leave it out, or resume= for a new run")
    if own.seed != changed.seed:
        faults.append(f"seed: {own.seed} in the run, {changed.seed} now; a resumed run keeps its seed")
    if faults:
        raise RecipeError(f"resuming {folder}", faults)
    starts = RunFolder(folder).starts()
    return Recipe(**{**vars(changed), "name": starts[0]["recipe"] if starts else folder.parent.name})
