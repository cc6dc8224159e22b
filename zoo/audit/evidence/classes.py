"""Classes of images in folders: named by subfolders, or by a CSV file of paths and classes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from zoo.audit.evidence.folders import ImageFolder
from zoo.errors import UserError, first_of
from zoo.io.files import printable, with_home

SUBFOLDERS, NONE = "subfolders", "none"
"""Values of `labels=` beside the path of a CSV file."""
SHOWN = 3  # names in a message
HEADINGS = ("path", "file", "filename", "file_name", "name", "image")  # of the column of paths


@dataclass(frozen=True)
class Classes:
    """Class names of the images of several folders, numbered in the same way for all of them.

    Args:
        names: names of the classes, sorted; the number of a class is its index here.
        labels: class indices (N,) of the images of each folder, by the name of the folder; a folder whose classes are
            unknown is left out.
        source: where the classes are from, for the protocol.
    """

    names: tuple[str, ...]
    labels: dict[str, Tensor]
    source: str


def classes_of(folders: Sequence[ImageFolder], wanted: str | None) -> Classes | None:
    """Return the classes of images in folders; None if they are unknown.

    Args:
        folders: folders of training, held-out and, at the end, perhaps generated images; classes of generated images
            may be unknown while those of the others are known.
        wanted: `subfolders`, `none`, or the path of a CSV file; None takes the names of subfolders if those of the
            training and held-out images agree.

    Raises:
        UserError: if an image of the training or held-out set has no class.
    """
    if wanted == NONE:
        return None
    if wanted is None:
        found = {folder.name: subfolder_names(folder) for folder in folders}
        return _numbered(found, "names of subfolders") if _agree(found) else None
    for folder in folders:
        if not folder.files and folder.name != "generated":
            raise UserError(
                f"labels={wanted}: the images of {folder.name} are an array, and {wanted} names classes by the paths "
                "of files. Leave labels out, or give a folder or a .zip file of images"
            )
    if wanted == SUBFOLDERS:
        found = {folder.name: subfolder_names(folder) for folder in folders}
        for folder in folders:
            if found[folder.name] is None and folder.name != "generated":
                loose = next(file for file in folder.files if file.parent == folder.path)
                raise UserError(
                    f"labels=subfolders: every image of {folder.name} lies in a subfolder that names its class; "
                    f"{loose.name} lies directly in {folder.path}. Move it, or give labels=FILE.csv"
                )
        return _numbered(found, "names of subfolders", strict=True)
    return _numbered(_named_by_file(folders, with_home(wanted)), wanted, strict=True)


def subfolder_names(folder: ImageFolder) -> list[str] | None:
    """Return the name of the first subfolder on the way to each image; None if an image lies in none, or is no file."""
    parts = [file.relative_to(folder.path).parts for file in folder.files]
    return [printable(first) for first, *_ in parts] if parts and all(len(names) > 1 for names in parts) else None


def _agree(found: dict[str, list[str] | None]) -> bool:
    """Check that subfolders are classes: at least two, and the held-out images have no others than the training ones.

    Subfolders that only divide a large folder have other names in another folder.
    """
    train, held_out = found.get("train"), found.get("held_out")
    return train is not None and held_out is not None and len(set(held_out)) > 1 and set(held_out) <= set(train)


def _numbered(found: dict[str, list[str] | None], source: str, strict: bool = False) -> Classes:
    """Give the classes numbers in the order of their names.

    Args:
        found: class of each image by the name of its folder; None where it is unknown.
        source: where the classes are from.
        strict: whether classes of generated images that no real image has are refused; otherwise those of all generated
            images are left out, since their subfolders mean something else.

    Raises:
        UserError: for such classes under `strict`.
    """
    known = {name: values for name, values in found.items() if values is not None}
    real = {value for name, values in known.items() if name != "generated" for value in values}
    foreign = sorted(set(known.get("generated", [])) - real)
    if foreign and strict:
        raise UserError(
            f"labels: generated images have classes that no real image has: {', '.join(foreign[:SHOWN])}; the real "
            f"ones have {first_of(sorted(real), SHOWN)}. Name them alike, or "
            "give labels=none"
        )
    if foreign:
        del known["generated"]
    names = tuple(sorted(real))
    number = {name: i for i, name in enumerate(names)}
    labels = {name: torch.tensor([number[value] for value in values]) for name, values in known.items()}
    return Classes(names, labels, source)


def _named_by_file(folders: Sequence[ImageFolder], path: Path) -> dict[str, list[str] | None]:
    """Return the class of each image by a CSV file.

    Raises:
        UserError: if an image of the training or held-out set has no row; generated images need none.
    """
    rows = read_classes(path)
    found: dict[str, list[str] | None] = {}
    for folder in folders:
        named = [_class_of(file, folder.path, path.parent, rows) for file in folder.files]
        missing = [file for file, value in zip(folder.files, named) if value is None]
        if missing and folder.name != "generated":
            raise UserError(
                f"labels={path}: it has no row for {len(missing):,} of {len(named):,} images of {folder.name}, such as "
                f"{missing[0].relative_to(folder.path).as_posix()}. Each row is path,class; the path is relative to "
                f"the folder of the images, or to that of the file"
            )
        found[folder.name] = None if missing or not named else [value for value in named if value is not None]
    return found


def read_classes(path: Path) -> dict[str, str]:
    """Read a CSV file of paths and classes; a first line such as `path,class` or `file,label` is a heading.

    Returns:
        Class by path, with forward slashes.

    Raises:
        UserError: for a file that cannot be read, a row without two columns, or two classes for one path.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"labels: {path} cannot be read: {error}. Give labels=FILE.csv with rows path,class, or labels=subfolders, "
            "or labels=none"
        ) from error
    if rows and rows[0][0].lower() in HEADINGS and rows[0][-1].lower() in ("class", "label"):
        rows = rows[1:]
    classes: dict[str, str] = {}
    for row in rows:
        if len(row) != 2 or not all(row):
            raise UserError(f"labels={path}: each row is path,class; got {','.join(row)!r}")
        name = Path(row[0]).as_posix()
        if classes.setdefault(name, row[1]) != row[1]:
            raise UserError(
                f"labels={path}: {name} has two classes, {classes[name]} and {row[1]}. Where several folders have a "
                "file of this name, write the paths relative to the folder of the CSV file"
            )
    return classes


def _class_of(file: Path, root: Path, base: Path, rows: dict[str, str]) -> str | None:
    """Return the class of a file by its path relative to the CSV file, its path relative to the folder, or its name."""
    names = [file.relative_to(root).as_posix(), file.name, file.as_posix()]
    if file.absolute().is_relative_to(base.absolute()):
        names.insert(0, file.absolute().relative_to(base.absolute()).as_posix())
    return next((rows[name] for name in names if name in rows), None)
