"""Check that training and held-out images can be compared, and that no image is in both."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.images import ImageSet, digests
from zoo.errors import DataError

FEWEST_IMAGES = 20  # of each set
OVERLAP_SHOWN = 5  # indices in the message about images that are in both sets


def check_image_sets(train: ImageSet, held_out: ImageSet) -> None:
    """Check that training and held-out images can be compared.

    Args:
        train: the training images.
        held_out: the held-out images.

    Raises:
        DataError: when a set is too small, the shapes differ, or more than 1 % of the held-out images are in both sets.
    """
    for image_set in (train, held_out):
        if len(image_set) < FEWEST_IMAGES:
            raise DataError(
                f"{image_set.name} has {len(image_set)} images; an audit needs at least {FEWEST_IMAGES} of each"
            )
    if train.shape != held_out.shape:
        shapes = [tuple(image_set.shape) for image_set in (train, held_out)]
        raise DataError(
            f"train images are {shapes[0]} (C, H, W), held-out ones {shapes[1]}. Prepare both in the same way, "
            "or every distance measures the difference in preparation"
        )
    shared = overlap(train, held_out)
    if len(shared) > max(1, len(held_out) // 100):
        indices = ", ".join(str(int(i)) for i in shared[:OVERLAP_SHOWN])
        raise DataError(
            f"{len(shared):,} of {len(held_out):,} held-out images are also in the training set, pixel for pixel "
            f"(indices {indices}{', ...' if len(shared) > OVERLAP_SHOWN else ''}). A null from them would hide "
            "copying. Hold out images that training never saw"
        )


def overlap(train: ImageSet, other: ImageSet) -> Tensor:
    """Find the images of `other` that are in `train`, pixel for pixel.

    Args:
        train: the training images.
        other: the images to look for among them.

    Returns:
        Indices (K,) into `other`.
    """
    known = set(digests(train))
    return torch.tensor([i for i, digest in enumerate(digests(other)) if digest in known], dtype=torch.long)


def without_overlap(train: ImageSet, held_out: ImageSet) -> tuple[ImageSet, int]:
    """Remove from the held-out images those that are in the training set.

    Args:
        train: the training images.
        held_out: the held-out images.

    Returns:
        The remaining held-out images, and the number of removed ones.
    """
    shared = overlap(train, held_out)
    if not len(shared):
        return held_out, 0
    keep = np.setdiff1d(np.arange(len(held_out)), shared.numpy())
    return held_out.take(torch.from_numpy(keep)), len(shared)
