"""The classes of the images of a benchmark, or clusters where there are no classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.audit.evidence.kinds import (
    MOST_DISCRIMINATED,
    MOST_FITTED,
    clusters_of,
    discriminant_votes,
    neighbour_votes,
    number_of_clusters,
)
from zoo.audit.statistics.distances import NEIGHBOURS, Nearest

REMOVED = 10  # clusters of which one is removed, where there are no classes


@dataclass(frozen=True)
class Sorting:
    """How held-out images are sorted into kinds.

    Args:
        removed: kind (M,) of each image, of which the benchmark removes one: its true class, or a cluster.
        votes: soft memberships (M, K) by which the audit's rule sorts the images.
        truth: true class (M,) of each image, if there are classes.
        source: where the kinds that are removed are from.
    """

    removed: Tensor
    votes: Tensor
    truth: Tensor | None
    source: str

    @property
    def noun(self) -> str:
        """The noun for a kind."""
        return "cluster" if self.truth is None else "class"

    @property
    def count(self) -> int:
        """The number of kinds of which one is removed."""
        return len(torch.unique(self.removed))


def by_classes(train: Tensor, labels: Tensor, held_out: Tensor, truth: Tensor, to_train: Nearest) -> Sorting:
    """Sort images into classes as the audit does: by nearest neighbours or linear discriminants, whichever is better.

    Args:
        train: features (N, D) of the training images.
        labels: class (N,) of each.
        held_out: features (M, D) of the held-out images.
        truth: class (M,) of each.
        to_train: the nearest training images of the held-out images.
    """
    known, targets = torch.unique(labels, return_inverse=True)
    true = torch.searchsorted(known, truth)
    candidates = [neighbour_votes(targets[to_train.indices[:, :NEIGHBOURS]], len(known))]
    if 2 <= len(known) <= MOST_DISCRIMINATED:
        chosen = _some(train, 0)
        candidates += discriminant_votes(train[chosen], targets[chosen], [held_out], len(known))
    votes = max(candidates, key=lambda votes: float((votes.argmax(1) == true).double().mean()))
    right = float((votes.argmax(1) == true).double().mean())
    return Sorting(true, votes, true, f"the audit's rule recognises the class of {right:.0%} of the held-out images")


def by_clusters(train: Tensor, held_out: Tensor, n: int) -> Sorting:
    """Sort images into clusters as the audit does; one of REMOVED other, larger clusters is removed.

    Args:
        train: features (N, D) of the training images.
        held_out: features (M, D) of the held-out images.
        n: images in a set.
    """
    count = number_of_clusters(min(len(train), n))
    larger, own = (
        clusters_of(train[_some(train, seed)], [held_out], k, seed)[0]
        for seed, k in enumerate((min(REMOVED, count), count))
    )
    votes = torch.nn.functional.one_hot(own, count).double()
    return Sorting(larger, votes, None, "clusters of the features of training images, since there are no classes")


def _some(train: Tensor, seed: int) -> Tensor:
    """Return the indices of the training images that a rule is fitted to."""
    return torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:MOST_FITTED]
