"""The class or cluster of an image, by the same rule for real and generated images.

A classifier makes mistakes. Generated and held-out images are classified by the same one, so for a correct generator
the mistakes are the same on both sides and shares can be compared. For an incorrect one,
`zoo.audit.statistics.shares.confusion_corrected_shares` corrects them where the classes of held-out images are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.statistics.distances import NEIGHBOURS

MOST_FITTED = 20_000  # training images that clusters or discriminants are fitted to, at most
PER_KIND = 50  # images for each cluster, at least
MOST_KINDS = 30
FEWEST_KINDS = 5
MOST_DISCRIMINATED = 200  # classes; with more, discriminant analysis takes too long

SIDES = ("generated", "held_out")


@dataclass(frozen=True)
class Kinds:
    """Kinds of images: classes where the training images have labels, clusters otherwise.

    Args:
        names: name of each kind.
        by: description of the rule that sorts images into kinds.
        clusters: whether the kinds are clusters.
        votes: soft memberships (N, K) of the generated images and (M, K) of the held-out ones; rows sum to 1.
        truth: kinds (M,) of the held-out images, where their classes are known.
    """

    names: tuple[str, ...]
    by: str
    clusters: bool
    votes: tuple[Tensor, Tensor]
    truth: Tensor | None = None

    @property
    def generated(self) -> Tensor:
        """The kind of each generated image, (N,)."""
        return self.votes[0].argmax(1)

    @property
    def held_out(self) -> Tensor:
        """The kind of each held-out image, (M,), by the same rule."""
        return self.votes[1].argmax(1)

    @property
    def right(self) -> float | None:
        """The share of the held-out images that the rule classifies correctly; None where their classes are unknown."""
        return None if self.truth is None else float((self.held_out == self.truth).double().mean())

    def __len__(self) -> int:
        return len(self.names)

    def counts(self) -> tuple[Tensor, Tensor]:
        """Count the images of each kind, (K,): generated ones and held-out ones."""
        generated, held_out = (torch.bincount(side, minlength=len(self)) for side in (self.generated, self.held_out))
        return generated, held_out


def kinds_of(evidence: Evidence) -> Kinds:
    """Sort the images into kinds: by the classes of the training images if they are known, by clusters otherwise."""
    return evidence.once(
        "kinds", lambda: _classes(evidence) if evidence.train.labels is not None else _clusters(evidence)
    )


def _classes(evidence: Evidence) -> Kinds:
    """Sort the images into classes by nearest neighbours or by linear discriminants.

    The rule that classifies more held-out images correctly is taken; nearest neighbours if their classes are unknown.
    """
    labels = evidence.train.labels
    assert labels is not None
    evidence.report("classes of generated and held-out images")
    known, targets = torch.unique(labels, return_inverse=True)
    names = tuple(f"class {evidence.train.class_name(number)}" for number in known.tolist())
    held_out = evidence.held_out.labels
    truth = (
        None if held_out is None or not bool(torch.isin(held_out, known).all()) else torch.searchsorted(known, held_out)
    )
    candidates = [_by_neighbours(evidence, targets, names, truth)]
    if truth is not None and 2 <= len(known) <= MOST_DISCRIMINATED:
        candidates.append(_by_discriminants(evidence, targets, names, truth))
    return max(candidates, key=lambda kinds: kinds.right or 0.0)


def _by_neighbours(evidence: Evidence, targets: Tensor, names: tuple[str, ...], truth: Tensor | None) -> Kinds:
    """Classify by the votes of the nearest training images.

    Args:
        evidence: the evidence.
        targets: class (N,) of each training image, as an index into `names`.
        names: names of the classes.
        truth: classes (M,) of the held-out images, or None.
    """
    k = min(NEIGHBOURS, int(torch.bincount(targets).float().median()))
    found = [evidence.nearest(side, "train", NEIGHBOURS).indices[:, :k] for side in SIDES]
    votes = [neighbour_votes(targets[indices], len(names)) for indices in found]
    rule = f"vote of the {k} nearest of {len(targets):,} training images by {evidence.space}"
    return Kinds(names, rule, False, (votes[0], votes[1]), truth)


def _by_discriminants(evidence: Evidence, targets: Tensor, names: tuple[str, ...], truth: Tensor) -> Kinds:
    """Classify by linear discriminant analysis; the arguments are those of `_by_neighbours`."""
    chosen = _random_rows(torch.arange(len(targets)), evidence, MOST_FITTED)
    sides = [evidence.features(side) for side in SIDES]
    votes = discriminant_votes(evidence.features("train")[chosen], targets[chosen], sides, len(names))
    rule = f"linear discriminants of {len(chosen):,} training images by {evidence.space}"
    return Kinds(names, rule, False, (votes[0], votes[1]), truth)


def _clusters(evidence: Evidence) -> Kinds:
    """Sort the images into clusters of the training images."""
    evidence.report("kinds of images, by clusters")
    features = _random_rows(evidence.features("train"), evidence, MOST_FITTED)
    smallest = min(len(features), len(evidence.held_out), len(evidence.generated))
    count = number_of_clusters(smallest)
    seed = evidence.seed_of("kinds") % 2**31
    sides = clusters_of(features, [evidence.features(side) for side in SIDES], count, seed)
    one_hot = [torch.nn.functional.one_hot(side, count).double() for side in sides]
    names = tuple(f"kind {i + 1}" for i in range(count))
    rule = f"nearest of {count} k-means centres of {len(features):,} training images by {evidence.space}"
    return Kinds(names, rule, True, (one_hot[0], one_hot[1]))


def neighbour_votes(voters: Tensor, classes: int) -> Tensor:
    """Return the votes (M, K) of the nearest training images; those of nearer ones weigh slightly more against ties.

    Args:
        voters: class (M, k) of the training images that are nearest to each image, nearest first.
        classes: number of classes K.
    """
    votes = torch.zeros(len(voters), classes, dtype=torch.float64)
    weights = 1 + 0.01 * torch.arange(voters.shape[1], 0, -1, dtype=torch.float64)
    return votes.scatter_add_(1, voters, (weights / weights.sum()).expand_as(voters))


def discriminant_votes(train: Tensor, targets: Tensor, sides: Sequence[Tensor], classes: int) -> list[Tensor]:
    """Return the probabilities (M, K) of the classes by linear discriminant analysis, for each set of images.

    Args:
        train: features (N, D) of the training images.
        targets: class (N,) of each.
        sides: features (M, D) of the images of each set.
        classes: number of classes K.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    classifier.fit(train.double().numpy(), targets.numpy())
    votes = [torch.zeros(len(side), classes, dtype=torch.float64) for side in sides]
    for side, vote in zip(sides, votes):
        probabilities = classifier.predict_proba(side.double().numpy())
        vote[:, torch.from_numpy(classifier.classes_)] = torch.from_numpy(probabilities)
    return votes


def number_of_clusters(images: int) -> int:
    """Return the number of clusters for the smallest of several sets of images."""
    return int(np.clip(images // PER_KIND, FEWEST_KINDS, MOST_KINDS))


def clusters_of(train: Tensor, sides: Sequence[Tensor], count: int, seed: int) -> list[Tensor]:
    """Return the cluster (M,) of each image by k-means of training images, for each set of images.

    Args:
        train: features (N, D) of the training images.
        sides: features (M, D) of the images of each set.
        count: number of clusters.
        seed: seed of k-means.
    """
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(count, n_init=3, batch_size=1024, random_state=seed).fit(train.numpy())
    return [torch.from_numpy(means.predict(side.numpy())).long() for side in sides]


def _random_rows(rows: Tensor, evidence: Evidence, most: int) -> Tensor:
    """Return at most `most` random rows, the same ones for each call with as many rows."""
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=evidence.rng("kinds"))[:most]]
