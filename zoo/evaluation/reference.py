"""Real images to measure against: those that generated images are compared with, and further ones for the floor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data import Digits, Images, StackedDigits, StackedMNIST
from zoo.data.points import Points
from zoo.data.pool import Split
from zoo.errors import DataError, FeatureError
from zoo.features import Extractor, Features, cached_features

SplitName = Literal["held_out", "train"]

MOST_TRAINING = 50_000
"""Most training images among which copies are looked for."""


@dataclass(frozen=True)
class ReferenceSet:
    """Features of real images that generated images are compared with.

    Args:
        split_name: name of the split that the reference images are from.
        split: images of that split.
        indices: indices (N,) of the reference images within the split.
        reference: features of the N reference images.
        additional: features of further real images, disjoint from the reference, which the floor needs; None if there
            are none.
        train: features of training images, beside a held-out reference, for the metrics that need them; None otherwise.
    """

    split_name: SplitName
    split: Split
    indices: NDArray[np.int64]
    reference: Features
    additional: Features | None
    train: Features | None = None

    @property
    def own(self) -> Features:
        """Features of the reference images and of the additional ones of the same split."""
        return self.combined[: len(self.reference) + max(0, len(self.split) - len(self.indices))]

    def require_training_features(self, metric: str, *, beside: bool) -> None:
        """Check that a metric that needs training images can have them.

        Args:
            metric: name of the metric.
            beside: whether it needs them beside held-out images; otherwise the reference may be training images.

        Raises:
            FeatureError: if there are none.
        """
        if self.train is not None or (self.split_name == "train" and not beside):
            return
        needed = "training images beside held-out ones" if beside else "training images"
        raise FeatureError(
            f"metrics: {metric} needs {needed}; got those of split={self.split_name} alone. Measure a checkpoint with "
            "split=held_out, on data that hold images out; beside folders give train=FOLDER; or leave this metric out"
        )

    @property
    def combined(self) -> Features:
        """Features of the reference images and of the additional ones, in this order."""
        if self.additional is None:
            return self.reference
        a, b = self.reference, self.additional
        logits = None if a.logits is None or b.logits is None else torch.cat([a.logits, b.logits])
        return Features(torch.cat([a.values, b.values]), logits)


def reference_features(
    data: Images, split_name: SplitName, extractor: Extractor, n: int, seed: int = 0
) -> ReferenceSet:
    """Compute the features of n real images for reference and of n additional ones for the floor, or read the cache.

    The choice of images depends on `seed` alone, so that all runs on the same data share the cached features. The
    additional images come from the same split and, if it has too few, from the other one.

    Args:
        data: data module, set up.
        split_name: name of the split of the reference images.
        extractor: extractor of the features.
        n: number of images of each kind; fewer if there are not so many.
        seed: seed of the choice.

    Raises:
        DataError: if the split is empty.
    """
    split, other_split = (data.held_out, data.train) if split_name == "held_out" else (data.train, data.held_out)
    if not len(split):
        other_name = "train" if split_name == "held_out" else "held_out"
        raise DataError(
            f"{type(data).__name__} has no images in its {split_name} split (data.held_out={data.held_out_size:g}). "
            f"Use split={other_name}, or data that hold images out"
        )
    return reference_of_splits(split_name, split, other_split, extractor, n, seed)


def reference_of_splits(
    split_name: SplitName,
    split: Split,
    other_split: Split,
    extractor: Extractor,
    n: int,
    seed: int = 0,
    further: bool = True,
) -> ReferenceSet:
    """Compute the features of n images of a split and of n additional ones, or read the cache.

    Args:
        split_name: name of the split.
        split: images for reference.
        other_split: images that are additional ones where `split` has too few.
        extractor: extractor of the features.
        n: number of images of each kind; fewer if there are not so many.
        seed: seed of the choice.
        further: whether additional images are wanted.
    """
    chosen, remaining = _random_indices(len(split), n, seed), _remaining_indices(len(split), n, seed)[:n]
    if not further:
        return ReferenceSet(split_name, split, chosen, cached_features(extractor, split, chosen), None)
    missing = max(0, n - len(remaining))
    from_other_split = _random_indices(len(other_split), missing, seed)
    reference = cached_features(extractor, split, chosen)
    parts = [
        cached_features(extractor, images, indices)
        for images, indices in ((split, remaining), (other_split, from_other_split))
        if len(indices)
    ]
    additional = None
    if parts:
        logits = [part.logits for part in parts if part.logits is not None]
        additional = Features(torch.cat([part.values for part in parts]), torch.cat(logits) if logits else None)
    return ReferenceSet(split_name, split, chosen, reference, additional)


def with_training_features(reals: ReferenceSet, data: Images, extractor: Extractor, seed: int = 0) -> ReferenceSet:
    """Add the features of the training images to a held-out reference; a reference of training images stays as it is.

    However few samples are measured, all training images are taken, up to `MOST_TRAINING`: who looks for copies in a
    part of them finds that part alone.

    Args:
        reals: the reference.
        data: data module, set up.
        extractor: extractor of the features.
        seed: seed of the choice of `MOST_TRAINING` images, where there are more.
    """
    if reals.split_name == "train":
        return reals
    chosen = _random_indices(len(data.train), MOST_TRAINING, seed)
    return replace(reals, train=cached_features(extractor, data.train, chosen))


def _random_indices(size: int, n: int, seed: int) -> NDArray[np.int64]:
    """Draw at most n indices below `size`, without replacement, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(size)[:n].astype(np.int64))


def _remaining_indices(size: int, n: int, seed: int) -> NDArray[np.int64]:
    """Return the indices below `size` that `_random_indices` does not draw, in random order."""
    return np.random.default_rng(seed).permutation(size)[n:].astype(np.int64)


def default_extractor(data: Images) -> str:
    """Return the name of the extractor that suits the data and needs no download."""
    if isinstance(data, StackedMNIST):
        return "stacked-mnist"
    if isinstance(data, StackedDigits):
        return "stacked-digits"
    if isinstance(data, Digits):
        return "digits"
    return "points" if isinstance(data, Points) else "effnet-lite0"
