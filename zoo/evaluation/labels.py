"""Classes of generated images for measuring: in the shares of the real ones."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.pool import Split


def class_counts(split: Split, places: NDArray[np.int64] | None, num_classes: int) -> NDArray[np.int64]:
    """How many images each class has in a part of the data, (num_classes,)."""
    assert split.pool.labels is not None
    rows = split.indices if places is None else split.indices[places]
    return np.bincount(split.pool.labels[rows], minlength=num_classes)


def labels_like(counts: NDArray[np.int64], n: int, seed: int) -> Tensor:
    """Class indices (n,) in random order, in the shares of `counts`, rounded by largest remainders."""
    shares = counts * (n / counts.sum())
    whole = np.floor(shares).astype(np.int64)
    rest = n - int(whole.sum())
    whole[np.argsort(whole - shares, kind="stable")[:rest]] += 1
    ordered = torch.from_numpy(np.repeat(np.arange(len(counts)), whole))
    return ordered[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
