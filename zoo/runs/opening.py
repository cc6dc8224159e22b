"""A trained model with the images it was trained on: of a run, of one of its checkpoints, or of a release."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zoo.config.class_names import find_class, without_imports
from zoo.data import Images
from zoo.errors import CheckpointError, UserError, first_line
from zoo.gan import GAN
from zoo.hub.loading import UserClasses
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import CHECKPOINT_SUFFIX, RunFolder, run_of
from zoo.releases import references, release_format
from zoo.runs.locating import checkpoint_of, is_release, load_model
from zoo.runs.recipes import load_recipe
from zoo.runs.resuming import load_run

FOLDERS = " (for an audit also train=FOLDER held_out=FOLDER)"


@dataclass(frozen=True)
class Trained:
    """A model with its images.

    Args:
        model: as loaded.
        name: of the checkpoint's file or of the release.
        run: folder of the run; None where there is none around the checkpoint, and for releases.
        path: of the checkpoint; None for releases.
        data: its images, read; None when they were not asked for.
        digests: of the data it is known to have been trained or measured on; empty where nothing is recorded.
    """

    model: GAN
    name: str
    run: Path | None
    path: Path | None
    data: Images | None
    digests: frozenset[str]

    @property
    def other_data(self) -> bool:
        """Whether the images are known to be others than those it was trained on, or split in another way."""
        return self.data is not None and bool(self.digests) and self.data.digest not in self.digests


def open_trained(
    where: str, changes: dict[str, Any], *, best: bool = False, with_data: bool = True, cls: UserClasses | None = None
) -> Trained:
    """Open a model with its images.

    Args:
        where: a run folder, a checkpoint file, or a release: its name, folder or file, or `hf:ORG/NAME`.
        changes: settings in place of those of the recipe's data.
        best: take a run's best checkpoint instead of its last.
        with_data: read the images, too.
        cls: class of a user's own that a release was made of, or its import path.

    Raises:
        UserError: for what cannot be opened, or data that are not here or do not fit the model.
    """
    if not best and is_release(where):
        return _of_release(where, changes, with_data, cls)
    path = best_checkpoint(where) if best else checkpoint_of(where)
    model = load_run(path)
    run = run_of(path).path if run_of(path).recipe.is_file() else None
    if not with_data:
        return Trained(model, path.name, run, path, None, frozenset())
    data = data_of(path, changes)
    check_fit(model, data)
    recorded = _recorded_digest(path, data)
    return Trained(model, path.name, run, path, data, frozenset([recorded] if recorded else []))


def _of_release(where: str, changes: dict[str, Any], with_data: bool, cls: UserClasses | None) -> Trained:
    model = load_model(where, cls)
    if not with_data:
        return Trained(model, name_of(where), None, None, None, frozenset())
    folder = _release_folder(where)
    data = _data_of_release(where, folder, changes, model)
    check_fit(model, data)
    return Trained(model, name_of(where), None, None, data, frozenset(_digests_of_release(folder)))


def best_checkpoint(where: str) -> Path:
    """The best checkpoint of a run folder.

    Raises:
        CheckpointError: when there is none.
    """
    found = RunFolder(Path(where)).best_checkpoints()
    if not found:
        raise CheckpointError(
            f"{where} keeps no best checkpoint (best/*.ckpt); SampleMetrics with `select` writes one. Leave out "
            "best=true for the last"
        )
    return found[-1]


def data_of(path: Path, changes: dict[str, Any]) -> Images:
    """The data of a checkpoint's run, with changes, ready for use.

    Raises:
        UserError: for data that cannot be read, or a checkpoint without a run around it and no data given.
    """
    saved = run_of(path).recipe
    if saved.is_file():
        data = load_recipe(saved, {"data": changes} if changes else None).data.build()
        return ready(data)
    if "class" in changes:
        return ready(build_data(changes))
    raise UserError(
        f"{path} lies outside a run folder, so its data are not known. Name them: data.class=Folder "
        "data.root=FOLDER data.resolution=64"
    )


def build_data(settings: dict[str, Any]) -> Any:
    """A source of images from a recipe's section `data`.

    Raises:
        UserError: for an unknown class, or settings that it refuses.
    """
    target = find_class(str(settings["class"]), Images)
    if not (isinstance(target, type) and issubclass(target, Images)):  # a name from outside: nothing else is called
        raise _no_source(str(settings["class"]))
    try:
        return target(**{key: value for key, value in settings.items() if key != "class"})
    except (TypeError, ValueError) as error:
        raise UserError(f"data: {error}") from error


def ready(data: Any) -> Images:
    """A source with its images read.

    Raises:
        UserError: for what is none of this zoo, or data that cannot be read.
    """
    if not isinstance(data, Images):
        raise _no_source(type(data).__name__)
    data.prepare_data()
    data.setup()
    return data


def _no_source(name: str) -> UserError:
    return UserError(f"data.class: {name} is no source of zoo.data, so it has no held-out part")


def check_fit(model: GAN, data: Images) -> None:
    """Whether these can be the images that the model learnt to draw.

    Raises:
        UserError: when sizes, channels or classes differ.
    """
    if (model.resolution, model.channels) != (data.resolution, data.channels):
        raise UserError(
            f"the model draws {model.resolution} px with {model.channels} channels, the data have {data.resolution} px "
            f"with {data.channels}. Set data.resolution={model.resolution} data.channels={model.channels}"
        )
    if model.num_classes and data.num_classes > model.num_classes:
        raise UserError(f"the data have {data.num_classes} classes, the model only {model.num_classes}")
    if model.num_classes and not data.num_classes:
        raise UserError("the model is conditional, but these data have no labels to take its classes from")


def _recorded_digest(path: Path, data: Images) -> str | None:
    """Digest of the data the checkpoint was trained on, where it is recorded."""
    recorded: Any = read_checkpoint(path).get(type(data).__qualname__)
    return recorded.get("digest") if isinstance(recorded, dict) else None


def _release_folder(where: str) -> Path | None:
    """The folder of a release with its recipe and numbers; None for a file at an address."""
    path = Path(where)
    if (path / release_format.CONFIG).is_file():
        return path
    if path.suffix == ".safetensors" and not where.startswith("https://"):
        return path.parent
    place = references.parse_reference(where)
    if place.kind == "ours":
        return references.releases_folder() / place.name
    if place.kind == "hub":
        from zoo.releases.huggingface import download

        return download(place.name, None)
    return None


def _data_of_release(where: str, folder: Path | None, changes: dict[str, Any], model: GAN) -> Images:
    """The data that a release's recipe names. It comes from outside, so that it never chooses what code is imported."""
    fits = {"resolution": model.resolution, "channels": model.channels}
    if "class" in changes:
        return ready(build_data({**fits, **changes}))
    recipe = {} if folder is None else _section(folder / release_format.RECIPE)
    if "class" not in recipe:
        raise UserError(
            f"{where} does not say what it was trained on. Name its training images, of which some were held out: "
            f"data.class=Folder data.root=FOLDER data.held_out=0.1{FOLDERS}"
        )
    try:
        with without_imports():
            return ready(build_data({**recipe, **changes}))
    except UserError as error:
        given = " ".join(f"data.{key}={value}" for key, value in recipe.items() if key in ("class", "root", "name"))
        raise UserError(
            f"{where} was trained on {given}, which cannot be read here: {error}. Say where they are with "
            f"data.root=FOLDER, or name other images: data.class=Folder data.root=FOLDER{FOLDERS}"
        ) from error


def _section(recipe: Path) -> dict[str, Any]:
    """The section `data` of a recipe that came from outside: plain YAML, nothing is built."""
    try:
        read = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    section = read.get("data") if isinstance(read, dict) else None
    return dict(section) if isinstance(section, dict) else {}


def _digests_of_release(folder: Path | None) -> set[str]:
    """Digests of the data that a release's numbers were measured on."""
    if folder is None or not (folder / release_format.METRICS).is_file():
        return set()
    try:
        evaluations = json.loads((folder / release_format.METRICS).read_text(encoding="utf-8"))["evaluations"]
        numbers = [number for each in evaluations for row in each["rows"] for number in row["numbers"]]
        return {str(n["protocol"]["data_digest"]) for n in numbers if "data_digest" in n["protocol"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / release_format.METRICS} cannot be read: {first_line(error)}") from error


def name_of(where: str) -> str:
    """A name for a report and its folder."""
    last = where.split("#")[0].rstrip("/").rpartition("/")[2].rpartition(":")[2]
    return (
        re.sub(r"[^A-Za-z0-9._-]+", "-", last.removesuffix(".safetensors").removesuffix(CHECKPOINT_SUFFIX)).strip(".-")
        or "audit"
    )
