"""The image sets that an audit compares, all read at one size and with one numbering of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.audit.evidence.classes import SUBFOLDERS, Classes, classes_of, subfolder_names
from zoo.audit.evidence.folders import FolderImages, ImageFolder, list_folder
from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.reading import read_image_set, with_labels
from zoo.audit.evidence.subject import SubjectAdapter
from zoo.audit.zoo_model import adapt
from zoo.data.given_folder import folder_settings
from zoo.data.sizes import mixed_sizes_note
from zoo.errors import UserError, first_of

ROLES = {"train": "training images", "held_out": "held-out images", "generated": "generated images"}
Labels = tuple[Tensor, Tensor] | str | Path | None


@dataclass(frozen=True)
class Comparison:
    """The subject of an audit with the images that it is compared with.

    Args:
        subject: adapter of the subject.
        train: training images.
        held_out: held-out images, some of which may be training images too.
        about: size and classes of the images, for the protocol.
        notes: what the reader of the report must know about the images.
    """

    subject: SubjectAdapter
    train: ImageSet
    held_out: ImageSet
    about: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_comparison(
    subject: Any,
    train: Any,
    held_out: Any,
    *,
    labels: Labels = None,
    resolution: int = 0,
    name: str = "",
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> Comparison:
    """Read all images of an audit at one size.

    Folders are resized. The size is that of the generated images: the most common one of their files, or the one that
    the subject draws.

    Args:
        subject: a model, anything with `sample(n)`, a tensor of images, or a folder of generated images.
        train: training images, as `zoo.audit.audit` takes them.
        held_out: held-out images.
        labels: classes of both, the path of a CSV file, `subfolders` or `none`; None for those that the images have.
        resolution: height and width in pixels to which folders are resized; 0 for the rule above.
        name: name of the subject in the report.
        seed: seed of the image that shows which size a foreign subject draws.
        reading: settings of `zoo.data.Folder` for reading files, see `zoo.data.given_folder.folder_settings`.

    Raises:
        UserError: for images that cannot be read or compared.
    """
    reading = folder_settings(reading)
    given = {"train": train, "held_out": held_out, "generated": subject}
    folders = {role: list_folder(path, role, reading) for role, path in given.items() if isinstance(path, str | Path)}
    if reading and not folders:
        listed = " ".join(f"data.{key}={value}" for key, value in reading.items())
        raise UserError(f"{listed}: says how files are read, and no folder of images is given. Leave it out")
    adapter = None if "generated" in folders else adapt(subject, name)
    sets = {role: read_image_set(given[role], role) for role in ("train", "held_out") if role not in folders}
    size, channels, rule = _size_of(adapter, folders, sets, resolution, seed)
    classes, source = _classes_of(folders, labels)
    pair = dict(zip(("train", "held_out"), labels)) if isinstance(labels, tuple | list) else {}
    sets = {role: with_labels(images, pair.get(role)) for role, images in sets.items()}
    read = {role: _read(folder, size, channels, classes, pair.get(role)) for role, folder in folders.items()}
    sets |= {role: one.images for role, one in read.items()}
    if adapter is None:
        adapter = adapt(sets["generated"], name or folders["generated"].path.name)
    about = {"resolution": size or int(sets["train"].shape[-1]), "resolution_by": rule}
    about |= {f"{role}_files": str(folder.sizes) for role, folder in folders.items()}
    about |= {f"{role}_left_out": one.left_out for role, one in read.items() if one.left_out}
    about |= {f"data.{key}": value for key, value in reading.items() if key != "cache"}
    notes = [mixed_sizes_note(ROLES[role], folder.sizes, size) for role, folder in folders.items()]
    notes += [f"{ROLES[role]}: {note}" for role, one in read.items() for note in one.notes]
    known = sets["train"].labels is not None
    about["classes"] = _described(sets["train"], source) if known else "unknown"
    if not known:
        notes.append(_unknown_classes(folders))
    return Comparison(adapter, sets["train"], sets["held_out"], about, [note for note in notes if note])


def _size_of(
    adapter: SubjectAdapter | None,
    folders: dict[str, ImageFolder],
    sets: dict[str, ImageSet],
    resolution: int,
    seed: int,
) -> tuple[int, int, str]:
    """Return the size in pixels to which folders are resized, their channels, and the rule that gave the size.

    Raises:
        UserError: for a resolution that the subject, or images that are no folder, do not have.
    """
    if resolution < 0:
        raise UserError(f"resolution: pixels, or 0 for the size of the generated images; got {resolution}")
    if adapter is not None:
        if not folders and not resolution:
            return 0, 3, "that of the images given"
        drawn = adapter.image_shape(seed)
        if resolution and resolution != drawn[-1]:
            raise UserError(
                f"resolution: {adapter.name} draws images of {drawn[-1]} px, at which all images are compared; got "
                f"{resolution}. Leave it out"
            )
        return drawn[-1], drawn[0], "the size that the subject draws"
    common = folders["generated"].sizes.common_side
    size, rule = resolution or common, "asked for" if resolution else "most common size of the generated images"
    for role, images in sets.items():
        shape = images.shape
        if resolution and resolution != shape[-1]:
            raise UserError(
                f"resolution: {role} has images of {shape[-1]} px that are no folder; only folders are resized. Resize "
                f"them to {resolution} px, or leave resolution out"
            )
        if common < shape[-1]:
            raise UserError(
                f"{role} has images of {shape[-1]} px, most generated images have {common} px, and enlarged images are "
                f"blurred. Shrink {role} to {common} px as for the training, or give a folder, which is resized"
            )
        return int(shape[-1]), int(shape[0]), f"the size of {role}, which is no folder"
    return size, 3, rule


def _classes_of(folders: dict[str, ImageFolder], labels: Labels) -> tuple[Classes | None, str]:
    """Return the classes of the folders, None if they are unknown, and where the classes are from.

    Raises:
        UserError: for labels that the images cannot have.
    """
    if isinstance(labels, tuple | list):
        return None, "given with the images"
    if labels is not None and "train" not in folders:
        raise UserError(
            f"labels={labels} names the classes of folders; train is none. Give labels=(train, held_out), one class "
            "index for each image"
        )
    if "train" not in folders:
        return None, "given with the images"
    classes = classes_of(list(folders.values()), None if labels is None else str(labels))
    return classes, "" if classes is None else classes.source


def _read(
    folder: ImageFolder, size: int, channels: int, classes: Classes | None, labels: Tensor | None
) -> FolderImages:
    """Read a folder, with its classes or the given labels where they are known."""
    if classes is None:
        return folder.read(size, channels, labels)
    return folder.read(size, channels, classes.labels.get(folder.name), classes.names)


def _described(train: ImageSet, source: str) -> str:
    """Describe the classes of the training images: how many, some of their names, and where they are from."""
    assert train.labels is not None
    numbers = torch.unique(train.labels).tolist()
    names = [train.class_name(number) for number in numbers]
    listed = first_of(names, 10)
    return f"{len(names)} ({listed}), {source or 'from the images'}"


def _unknown_classes(folders: dict[str, ImageFolder]) -> str:
    """Return the note that the classes of the real images are unknown, and how to give them."""
    text = (
        "the classes of the real images are unknown: a class or an attribute that the generator leaves out is seen "
        "only if it is a cluster of its own"
    )
    if "train" not in folders:
        return f"{text}. Give labels=(train, held_out)"
    found = [subfolder_names(folders[role]) for role in ("train", "held_out") if role in folders]
    if all(names is not None for names in found):
        return f"{text}. Their subfolders differ, so they are not taken for classes; labels={SUBFOLDERS} takes them"
    return f"{text}. Name them by subfolders of the same names in both folders, or by labels=FILE.csv (rows path,class)"
