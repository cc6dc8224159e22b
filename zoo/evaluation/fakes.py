"""Generated images for measuring: any number of them in little memory, with the classes of the real ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.pool import Split
from zoo.gan import GAN
from zoo.sampling import TruncationBy, render, seeded, truncated


def generated(
    model: GAN,
    n: int,
    *,
    seed: int,
    labels: Tensor | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    batch_size: int = 256,
) -> Iterator[Tensor]:
    """Batches of the images that `model.sample` gives for the same arguments, made one after another.

    All latents are drawn at once, so the images do not depend on `batch_size`; only one batch of images is in memory.
    Like `model.sample` it draws from the averaged generator and leaves modes, buffers and random state alone.
    """
    with seeded(seed, model.device):
        latents = truncated(model.sample_latent, n, truncation, truncation_by)
        drawn = model.sample_labels(n)
    classes = drawn if labels is None else labels.to(model.device)
    for first in range(0, n, batch_size):
        part = slice(first, first + batch_size)
        yield render(model, latents[part], None if classes is None else classes[part], batch_size)


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
