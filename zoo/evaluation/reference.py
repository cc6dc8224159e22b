"""Real images for measuring: which of them stand against the generated ones, and which give the floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data import Digits, Images, StackedDigits
from zoo.data.points import Points
from zoo.data.pool import Split
from zoo.errors import DataError
from zoo.features import Extractor, Features, cached_features

SplitName = Literal["held_out", "train"]


@dataclass(frozen=True)
class ReferenceSet:
    """Features of real images.

    Args:
        part: of the data that the reference is from.
        split: that part.
        places: of the reference images within it.
        reference: features that generated images are compared with.
        others: features of further real images, disjoint from the reference; the floor needs them.
    """

    part: SplitName
    split: Split
    places: NDArray[np.int64]
    reference: Features
    others: Features | None

    @property
    def everything(self) -> Features:
        """The reference and the others."""
        if self.others is None:
            return self.reference
        a, b = self.reference, self.others
        logits = None if a.logits is None or b.logits is None else torch.cat([a.logits, b.logits])
        return Features(torch.cat([a.values, b.values]), logits)


def reference_features(data: Images, part: SplitName, extractor: Extractor, n: int, seed: int = 0) -> ReferenceSet:
    """Features of `n` images of a part, or of all it has, and of as many others, as far as there are.

    Which ones is decided by `seed` alone, so that all runs on the data share the cached features. The others come from
    the same part, then from the other part.

    Raises:
        DataError: when the part is empty.
    """
    split, rest = (data.held_out, data.train) if part == "held_out" else (data.train, data.held_out)
    if not len(split):
        other = "train" if part == "held_out" else "held_out"
        raise DataError(
            f"{type(data).__name__} has no images in its {part} part (data.held_out={data.held_out_size:g}). Use "
            f"split={other}, or data that hold images out"
        )
    chosen, more = _drawn(len(split), n, seed), _remaining(len(split), n, seed)[:n]
    missing = max(0, n - len(more))
    further = _drawn(len(rest), missing, seed)
    reference = cached_features(extractor, split, chosen)
    found = [cached_features(extractor, a, places) for a, places in ((split, more), (rest, further)) if len(places)]
    others = None
    if found:
        logits = [f.logits for f in found if f.logits is not None]
        others = Features(torch.cat([f.values for f in found]), torch.cat(logits) if logits else None)
    return ReferenceSet(part, split, chosen, reference, others)


def _drawn(size: int, n: int, seed: int) -> NDArray[np.int64]:
    """At most n places of `size`, in their order."""
    return np.sort(np.random.default_rng(seed).permutation(size)[:n].astype(np.int64))


def _remaining(size: int, n: int, seed: int) -> NDArray[np.int64]:
    """The places that `_drawn` leaves."""
    return np.random.default_rng(seed).permutation(size)[n:].astype(np.int64)


def default_extractor(data: Images) -> str:
    """The extractor that suits the data and needs no download."""
    if isinstance(data, StackedDigits):
        return "stacked-digits"
    if isinstance(data, Digits):
        return "digits"
    return "points" if isinstance(data, Points) else "effnet-lite0"
