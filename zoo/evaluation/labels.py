"""Class labels of the generated images that are measured: with the class shares of the real images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.pool import Split
from zoo.errors import UserError, first_of

SHOWN = 3  # names in a message


def check_class_names(model: Sequence[str], real: Sequence[str], num_classes: int) -> None:
    """Check that a number stands for the same class in a conditional model and in the images it is compared with.

    Args:
        model: names of the model's classes in the order of their numbers; empty if they are not known.
        real: names of the classes of the images; empty if they are not known. Where only these are known, those that
            are numbers are taken for the numbers of the model's classes.
        num_classes: number of classes of the model.

    Raises:
        UserError: if it does not: the model would be asked for other classes than it is compared with.
    """
    if len(real) > num_classes:
        raise UserError(
            f"the images have {len(real)} classes ({first_of(real, SHOWN)}), the model {num_classes}. Give images of "
            "its classes only, or leave their classes out: python -m zoo.audit takes labels=none"
        )
    by_number = not model and all(name.isdecimal() for name in real)
    meant = tuple(str(i) for i in range(num_classes)) if by_number else tuple(model)
    other = next(((i, name) for i, name in enumerate(real) if meant and name != meant[i]), None)
    if other is not None:
        number, name = other
        raise UserError(
            f"class {number} is {name!r} in these images and {meant[number]!r} in the model, which would be asked for "
            "other classes than it is compared with. Give images of all its classes under its names "
            f"({first_of(meant, SHOWN)}), or leave their classes out: python -m zoo.audit takes labels=none"
        )


def class_counts(split: Split, indices: NDArray[np.int64] | None, num_classes: int) -> NDArray[np.int64]:
    """Count the images of each class.

    Args:
        split: labelled images.
        indices: indices (N,) of images within the split; None for all.
        num_classes: number of classes K.

    Returns:
        Number of images of each class (K,).
    """
    assert split.pool.labels is not None
    rows = split.indices if indices is None else split.indices[indices]
    return np.bincount(split.pool.labels[rows], minlength=num_classes)


def labels_like(counts: NDArray[np.int64], n: int, seed: int) -> Tensor:
    """Draw class labels in random order, with the class shares of `counts` (rounded by largest remainders).

    Args:
        counts: number of real images of each class (K,).
        n: number of labels.
        seed: seed of the order.

    Returns:
        Class indices (n,), int64.
    """
    exact = counts * (n / counts.sum())
    rounded = np.floor(exact).astype(np.int64)
    missing = n - int(rounded.sum())
    rounded[np.argsort(rounded - exact, kind="stable")[:missing]] += 1
    ordered = torch.from_numpy(np.repeat(np.arange(len(counts)), rounded))
    return ordered[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
