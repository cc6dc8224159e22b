"""Load a trained model from a run, a checkpoint or a release, with or without the images it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.config.settings import settings_of
from zoo.data import Images
from zoo.data.given_folder import OF_PICTURES
from zoo.errors import CheckpointError
from zoo.gan import GAN
from zoo.hub.finding import find
from zoo.hub.loading import UserClasses, build_model, load
from zoo.io.checkpoints import load_weights, read_checkpoint
from zoo.io.run_folder import run_of
from zoo.layers.wrappers import plain_name
from zoo.releases import weights
from zoo.releases.references import Reference
from zoo.releases.release_format import AVERAGE, LIVE, RECIPE
from zoo.runs.locating import best_checkpoint, checkpoint_of, locate, newest_checkpoint, report_name
from zoo.runs.recipes import load_recipe
from zoo.runs.recording import whole_recipe
from zoo.runs.training_data import (
    check_fit,
    data_of_checkpoint,
    data_of_release,
    data_section,
    digests_of_release,
    recorded_digest,
)


def load_run(where: str | Path) -> GAN:
    """Load the model of a run, in eval mode on the CPU.

    The class is taken from the recipe of the run. For a checkpoint outside a run folder, only classes of this library
    are built.

    Args:
        where: a run folder, of which the newest checkpoint is loaded, or a checkpoint file.

    Raises:
        CheckpointError: if there is no checkpoint, or it is damaged or belongs to another class.
    """
    path = checkpoint_of(where)
    state = read_checkpoint(path)
    recipe = run_of(path).recipe
    if recipe.is_file():
        model: GAN = load_recipe(whole_recipe(recipe)).model.build()
    else:
        model = _build_alone(path, state)
    load_weights(model, state, path)
    model.on_load_checkpoint(state)
    return model.eval()


def _build_alone(path: Path, state: dict[str, Any]) -> GAN:
    """Build the model of a checkpoint outside a run folder, which is as untrusted as a release.

    Raises:
        CheckpointError: if its class is not of this library, or does not have its settings or its weights.
    """
    module, _, name = str(state["zoo"]["class"]).rpartition(".")
    if not module.startswith("zoo."):
        raise CheckpointError(
            f"{path} holds a {name} of {module}, which is no class of the zoo, and no run folder around it names "
            "it. Load it from its run folder, or build the model and call load_state_dict"
        )
    settings, tensors = state.get("hyper_parameters"), state["state_dict"]
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path} is refused: its hyper_parameters are {str(settings)[:80]}, no settings")
    stored = {
        plain_name(key): (tensor.dtype, tuple(tensor.shape))
        for key, tensor in tensors.items()
        if not (key.startswith(LIVE) and AVERAGE + key.removeprefix(LIVE) in tensors)
    }
    checked, _ = build_model({"class": name, "arguments": settings}, weights.Header(stored, {}), path, ())
    known = settings_of(type(checked))
    return type(checked)(**{key: value for key, value in dict(checked.hparams).items() if key in known})


def load_model(where: str, cls: UserClasses | None = None) -> GAN:
    """Load the model of a run, a checkpoint or a release, in eval mode on the CPU.

    Args:
        where: a run folder, a checkpoint file, or a release, as `zoo.runs.locating.locate` takes them.
        cls: classes that the user wrote and that a release names, or their import paths. The recipe of a run names its
            own class.

    Raises:
        UserError: if there is nothing to load, or it is refused.
    """
    location = locate(where)
    return _load_release(location, cls)[0] if isinstance(location, Reference) else load_run(newest_checkpoint(location))


def _load_release(release: Reference, cls: UserClasses | None) -> tuple[GAN, Path | None]:
    """Load the model of a release; return it with the folder of the release, None for a single downloaded file."""
    files = find(release)
    return load(files.weights, files.config, cls), files.folder


def reading_of(where: str) -> dict[str, Any]:
    """Return how the files of a model's training images were read: `value_range` and `background`, if its recipe says.

    Args:
        where: a run folder, a checkpoint file, or a release, as `zoo.runs.locating.locate` takes them. The recipe of a
            release is untrusted input: the values are to be checked.

    Raises:
        UserError: if there is nothing to load, or it is refused.
    """
    location = locate(where)
    section: Mapping[str, Any] = {}
    if isinstance(location, Reference):
        folder = find(location).folder
        section = {} if folder is None else data_section(folder / RECIPE)
    else:
        recipe = run_of(newest_checkpoint(location)).recipe
        section = load_recipe(whole_recipe(recipe)).data.arguments if recipe.is_file() else {}
    return {key: section[key] for key in OF_PICTURES if key in section}


@dataclass(frozen=True)
class Trained:
    """A trained model with the images it was trained on.

    Args:
        model: the model, in eval mode on the CPU.
        name: name of the checkpoint's file or of the release.
        run: folder of the run; None for a release and for a checkpoint outside a run folder.
        path: file of the checkpoint; None for a release.
        data: the images, ready for use; None if they were not asked for.
        digests: digests of the data that the model was trained or measured on; empty if none is recorded.
    """

    model: GAN
    name: str
    run: Path | None
    path: Path | None
    data: Images | None
    digests: frozenset[str]

    @property
    def other_data(self) -> bool:
        """Whether `data` are known to differ from the training data, in their images or in their split."""
        return self.data is not None and bool(self.digests) and self.data.digest not in self.digests


def open_trained(
    where: str, changes: dict[str, Any], *, best: bool = False, with_data: bool = True, cls: UserClasses | None = None
) -> Trained:
    """Load a trained model with the images it was trained on.

    Args:
        where: a run folder, a checkpoint file, or a release: its name, folder or file, or `hf:ORG/NAME`.
        changes: settings that replace those of the section `data` in the recipe.
        best: whether to take a run's best checkpoint instead of its newest.
        with_data: whether to read the images too.
        cls: classes that the user wrote and that a release names, or their import paths.

    Raises:
        UserError: if the model or its data cannot be opened, or do not fit each other.
    """
    if best:
        return _open_checkpoint(best_checkpoint(where), changes, with_data)
    location = locate(where)
    if isinstance(location, Reference):
        return _open_release(where, location, changes, with_data, cls)
    return _open_checkpoint(newest_checkpoint(location), changes, with_data)


def _open_checkpoint(path: Path, changes: dict[str, Any], with_data: bool) -> Trained:
    model = load_run(path)
    run = run_of(path).path if run_of(path).recipe.is_file() else None
    if not with_data:
        return Trained(model, path.name, run, path, None, frozenset())
    data = data_of_checkpoint(path, changes)
    check_fit(model, data)
    digest = recorded_digest(path, data)
    return Trained(model, path.name, run, path, data, frozenset([digest] if digest else []))


def _open_release(
    where: str, release: Reference, changes: dict[str, Any], with_data: bool, cls: UserClasses | None
) -> Trained:
    model, folder = _load_release(release, cls)
    name = report_name(where)
    if not with_data:
        return Trained(model, name, None, None, None, frozenset())
    data = data_of_release(where, folder, changes, model)
    check_fit(model, data)
    return Trained(model, name, None, None, data, frozenset(digests_of_release(folder)))
