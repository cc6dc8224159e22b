"""Classes of images in a file `dataset.json`, as StyleGAN's dataset tool writes it beside the images.

The file is a mapping whose entry `labels` is a list of pairs of a path and a class index, or null for no classes.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.listing import Listing
from zoo.errors import DataError, first_line

TABLE = "dataset.json"


def read_table(listing: Listing, wanted: bool, is_whole: bool) -> NDArray[np.int64] | None:
    """Return the class index of each image (N,) by `dataset.json`; None if there is no such file, or it has no classes.

    Args:
        listing: the images.
        wanted: whether classes are asked for.
        is_whole: whether all images are listed, so that a class of an image that is not there is worth telling.

    Raises:
        DataError: if the file cannot be read, has no classes although they are asked for, has vectors in their place,
            or names no class for an image.
    """
    where = f"{listing.root / listing.prefix / TABLE}"
    try:
        content = listing.read_other(TABLE)
        record = None if content is None else json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{where} cannot be read: {first_line(error)}. Restore it, or set data.labels=false to read the images "
            "without classes"
        ) from error
    if not isinstance(record, dict) or "labels" not in record:
        return None  # a file of this name by another program
    if record["labels"] is None:
        if wanted:
            raise DataError(
                f"data.labels=true, but {where} says that the images have no classes. Set data.labels=false; if "
                "subfolders are classes, name them: data.classes=[A,B]"
            )
        return None
    labels = _numbers(listing, _pairs(record["labels"], where), where)
    listing.left_out[".json"] -= 1  # it is read
    unknown = len(record["labels"]) - len(labels)
    if is_whole and unknown > 0:
        listing.left_out[f"classes in {TABLE} without an image"] = unknown
    return labels


def _pairs(labels: Any, where: str) -> dict[str, Any]:
    """Return the class of each path.

    Raises:
        DataError: if these are no pairs.
    """
    try:
        return {str(name): label for name, label in (labels.items() if isinstance(labels, dict) else labels)}
    except (TypeError, ValueError) as error:
        raise DataError(
            f'{where}: "labels" is a list of pairs of a path and a class index, ["00000/img00000000.png", 6]; got '
            f"{str(labels)[:80]}"
        ) from error


def _numbers(listing: Listing, classes: dict[str, Any], where: str) -> NDArray[np.int64]:
    """Return the class index of each image (N,).

    Raises:
        DataError: if an image has none, or a class is no whole number.
    """
    start = len(listing.prefix)
    missing = [name for name in listing.names if name[start:] not in classes]
    if missing:
        raise DataError(
            f"{where} names no class for {len(missing):,} of {len(listing.names):,} images, such as "
            f"{missing[0][start:]}. Add them, leave them out with data.match, or set data.labels=false"
        )
    labels = np.empty(len(listing.names), np.int64)
    for i, name in enumerate(listing.names):
        label = classes[name[start:]]
        if isinstance(label, list):
            raise DataError(
                f"{where}: the label of {name[start:]} is a vector of {len(label)} numbers; a class is one whole "
                "number. Set data.labels=false to read the images without classes"
            )
        is_number = isinstance(label, int | float) and not isinstance(label, bool) and abs(label) < 2**62
        if not is_number or label != int(label):
            raise DataError(f"{where}: the class of {name[start:]} is {str(label)[:40]!r}; a class is a whole number")
        labels[i] = int(label)
    return labels
