"""The classes of the images of a benchmark, or clusters where there are no classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.kinds import FEWEST_KINDS, MOST_DISCRIMINATED, MOST_FITTED, MOST_KINDS, PER_KIND
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
    candidates = [_neighbours(targets, to_train, len(known))]
    if 2 <= len(known) <= MOST_DISCRIMINATED:
        candidates.append(_discriminants(train, targets, held_out))
    votes = max(candidates, key=lambda votes: float((votes.argmax(1) == true).double().mean()))
    right = float((votes.argmax(1) == true).double().mean())
    return Sorting(true, votes, true, f"the audit's rule recognises the class of {right:.0%} of the held-out images")


def _neighbours(targets: Tensor, to_train: Nearest, classes: int) -> Tensor:
    """Return the votes (M, K) of the nearest training images, of which nearer ones weigh slightly more."""
    voters = targets[to_train.indices[:, :NEIGHBOURS]]
    weights = 1 + 0.01 * torch.arange(voters.shape[1], 0, -1, dtype=torch.float64)
    votes = torch.zeros(len(voters), classes, dtype=torch.float64)
    return votes.scatter_add_(1, voters, (weights / weights.sum()).expand_as(voters))


def _discriminants(train: Tensor, targets: Tensor, held_out: Tensor) -> Tensor:
    """Return the probabilities (M, K) by linear discriminant analysis."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:MOST_FITTED]
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    classifier.fit(train[chosen].double().numpy(), targets[chosen].numpy())
    votes = torch.zeros(len(held_out), int(targets.max()) + 1, dtype=torch.float64)
    votes[:, torch.from_numpy(classifier.classes_)] = torch.from_numpy(
        classifier.predict_proba(held_out.double().numpy())
    )
    return votes


def by_clusters(train: Tensor, held_out: Tensor, n: int) -> Sorting:
    """Sort images into clusters as the audit does; one of REMOVED other, larger clusters is removed.

    Args:
        train: features (N, D) of the training images.
        held_out: features (M, D) of the held-out images.
        n: images in a set.
    """
    count = int(np.clip(min(len(train), n) // PER_KIND, FEWEST_KINDS, MOST_KINDS))
    larger, own = (_clusters(train, held_out, k, seed) for seed, k in enumerate((min(REMOVED, count), count)))
    votes = torch.nn.functional.one_hot(own, count).double()
    return Sorting(larger, votes, None, "clusters of the features of training images, since there are no classes")


def _clusters(train: Tensor, held_out: Tensor, count: int, seed: int) -> Tensor:
    """Return the cluster (M,) of each held-out image by k-means of the training images."""
    from sklearn.cluster import MiniBatchKMeans

    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:MOST_FITTED]
    means = MiniBatchKMeans(count, n_init=3, batch_size=1024, random_state=seed).fit(train[chosen].numpy())
    return torch.from_numpy(means.predict(held_out.numpy())).long()
