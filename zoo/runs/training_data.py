"""The images that a run or a release was trained on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from zoo.config.building import build
from zoo.config.class_names import find_class, without_imports
from zoo.config.settings import check_settings
from zoo.config.values import read_yaml
from zoo.data import Images
from zoo.errors import UserError, first_line
from zoo.evaluation.labels import check_class_names
from zoo.gan import GAN
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import run_of
from zoo.releases import references, release_format
from zoo.runs.recipes import load_recipe
from zoo.runs.start_folder import paths_of_data

FROM_OUTSIDE = (
    "class",
    "labels",
    "classes",
    "array",
    "label_array",
    "on_corrupt",
    "value_range",
    "background",
    "category",
    "held_out",
    "split_seed",
    "triples",
    "samples",
    "modes",
    "side",
    "split",
    "test_split",
    "stream",
    "window",
    "cache_limit",
    "image_column",
    "label_column",
    "image_key",
    "label_key",
)
"""Settings of the data of a release that are used: none names a folder, a regular expression or a download."""
OF_PLACE = ("name", "urls", "category", "root", "match", "group", "download")
"""Settings that say which images were meant, for messages."""
MOST_DRAWN = 1_000_000
"""Largest number of images or points that the recipe of a release may ask to be drawn."""
AUDIT_OPTIONS = " (for an audit also train=FOLDER held_out=FOLDER)"


def data_of_checkpoint(path: Path, changes: dict[str, Any]) -> Images:
    """Build and read the data of a checkpoint's run.

    Args:
        path: the checkpoint.
        changes: settings that replace those of the section `data` in the recipe.

    Raises:
        UserError: if the data cannot be read, or the checkpoint is outside a run folder and no data are given.
    """
    run = run_of(path)
    if run.recipe.is_file():
        changes = {**paths_of_data(run, load_recipe(run.recipe), changes), **changes}
        data = load_recipe(run.recipe, {"data": changes} if changes else None).data.build()
        return set_up_data(data)
    if "class" in changes:
        return set_up_data(build_data(changes))
    raise UserError(
        f"{path} lies outside a run folder, so its data are not known. Name them: data.class=Folder "
        "data.root=FOLDER data.resolution=64"
    )


def data_of_release(where: str, folder: Path | None, changes: dict[str, Any], model: GAN) -> Images:
    """Build and read the data that the recipe of a release names.

    The recipe is untrusted input: no class that it names is imported, resolution and channels are those of the model,
    and of its settings only those in `FROM_OUTSIDE` are used: folders, regular expressions and downloads are the user's
    to give. The releases of this library are trusted.

    Args:
        where: the release as the user named it, for error messages.
        folder: folder of the release; None for a single file from a URL.
        changes: settings that replace those of the section `data` in the recipe.
        model: the model of the release; its resolution and channels are the defaults for data that the user names.

    Raises:
        UserError: if the release has no recipe and no data are given, or the data cannot be read.
    """
    if "class" in changes:
        defaults = {"resolution": model.resolution, "channels": model.channels}
        return set_up_data(build_data({**defaults, **changes}))
    section = {} if folder is None else data_section(folder / release_format.RECIPE)
    if "class" not in section:
        raise UserError(
            f"{where} does not say what it was trained on. Name its training images, of which some were held out: "
            f"data.class=Folder data.root=FOLDER data.held_out=0.1{AUDIT_OPTIONS}"
        )
    is_ours = folder is not None and folder.resolve().parent == references.releases_folder().resolve()
    kept = section if is_ours else _settings_from_outside(section)
    settings = {**kept, "resolution": model.resolution, "channels": model.channels, **changes}
    try:
        with without_imports():
            data = build_data(settings)
            data.batch_sizes = {1: 1}  # nothing is trained
            return set_up_data(data)
    except UserError as error:
        shown = {key: section[key] for key in ("class", *OF_PLACE) if section.get(key)}
        named = " ".join(f"data.{key}={str(value)[:200]}" for key, value in shown.items())
        rule = "" if is_ours else ". Which folder and which expressions are used is yours to say, not a release's"
        raise UserError(
            f"{where} was trained on {named}, which cannot be read here: {error}. Say where they are with "
            f"data.root=FOLDER, or name other images: data.class=Folder data.root=FOLDER{AUDIT_OPTIONS}{rule}"
        ) from error


def _settings_from_outside(section: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of an untrusted recipe's data that are used.

    Raises:
        UserError: for a number that would fill the memory.
    """
    kept = {key: value for key, value in section.items() if key in FROM_OUTSIDE}
    for key in ("triples", "samples", "modes", "side"):
        if key in kept and (type(kept[key]) is not int or not 0 < kept[key] <= MOST_DRAWN):
            raise UserError(
                f"the recipe of the release has data.{key}={str(kept[key])[:40]}; from outside 1 to {MOST_DRAWN:,} are "
                f"accepted. Give data.class= and its settings yourself"
            )
    return kept


def data_section(recipe: Path) -> dict[str, Any]:
    """Return the section `data` of an untrusted recipe as plain values; empty if there is none."""
    try:
        content = read_yaml(recipe.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    section = content.get("data") if isinstance(content, dict) else None
    return dict(section) if isinstance(section, dict) else {}


def build_data(settings: dict[str, Any]) -> Any:
    """Build a source of images from the section `data` of a recipe, without reading the images.

    Raises:
        UserError: for an unknown class, or settings that it refuses.
    """
    target = find_class(str(settings["class"]), Images)
    if not (isinstance(target, type) and issubclass(target, Images)):  # an untrusted name: nothing else is called
        raise _no_source(str(settings["class"]))
    given = {key: value for key, value in settings.items() if key != "class"}
    values, faults = check_settings(target, given, "data.", beside=("class",))
    if faults:
        raise UserError("; ".join(faults))
    try:
        return build(target, values, "data")
    except TypeError as error:
        raise UserError(f"data: {error}") from error


def set_up_data(data: Any) -> Images:
    """Read the images of a source and return it.

    Raises:
        UserError: if it is no source of `zoo.data`, or its images cannot be read.
    """
    if not isinstance(data, Images):
        raise _no_source(type(data).__name__)
    data.prepare_data()
    data.setup()
    for note in data.notes():
        print(f"note: {note}", file=sys.stderr)
    return data


def _no_source(name: str) -> UserError:
    return UserError(f"data.class: {name} is no source of zoo.data, so it has no held-out part")


def check_fit(model: GAN, data: Images) -> None:
    """Check that data have the model's resolution, channels and classes.

    Raises:
        UserError: if they do not.
    """
    if (model.resolution, model.channels) != (data.resolution, data.channels):
        raise UserError(
            f"the model draws {model.resolution} px with {model.channels} channels, the data have {data.resolution} px "
            f"with {data.channels}. Set data.resolution={model.resolution} data.channels={model.channels}"
        )
    if model.num_classes and data.num_classes > model.num_classes:
        raise UserError(f"the data have {data.num_classes} classes, the model only {model.num_classes}")
    if model.num_classes:
        check_class_names(model.class_names, data.class_names, model.num_classes)
    if model.num_classes and not data.num_classes and not model.makes_labels:
        raise UserError("the model is conditional, but these data have no labels to take its classes from")


# --- digests of the data ---------------------------------------------------------------------------------------------


def recorded_digest(path: Path, data: Images) -> str | None:
    """Return the digest of the data that a checkpoint was trained on, or None if it is not recorded."""
    record: Any = read_checkpoint(path).get(type(data).__qualname__)
    return record.get("digest") if isinstance(record, dict) else None


def digests_of_release(folder: Path | None) -> set[str]:
    """Return the digests of the data that the numbers of a release were measured on.

    Raises:
        UserError: if the file of the numbers cannot be read.
    """
    if folder is None or not (folder / release_format.METRICS).is_file():
        return set()
    try:
        evaluations = json.loads((folder / release_format.METRICS).read_text(encoding="utf-8"))["evaluations"]
        numbers = [number for each in evaluations for row in each["rows"] for number in row["numbers"]]
        return {str(n["protocol"]["data_digest"]) for n in numbers if "data_digest" in n["protocol"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder / release_format.METRICS} cannot be read: {first_line(error)}") from error
