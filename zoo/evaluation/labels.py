"""Class labels of the generated images that are measured: with the class shares of the real images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.pool import Split


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
