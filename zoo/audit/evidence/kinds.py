"""Of which class, or at least of which kind, an image is; for real and generated ones by the same rule.

A classifier makes mistakes. Generated and held-out images are classified alike, so for a correct generator the mistakes
are the same on both sides and shares can be compared; `confusion_corrected_shares` of `zoo.audit.statistics.shares`
corrects them for an incorrect one, where the classes of held-out images are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.statistics.distances import NEIGHBOURS

CLUSTERED = 20_000  # training images that kinds are made of at most
PER_KIND = 50  # training images for each kind, at least
MOST_KINDS = 30
FEWEST_KINDS = 5
MOST_DISCRIMINATED = 200  # classes; discriminants of more take long

SIDES = ("generated", "held_out")


@dataclass(frozen=True)
class Kinds:
    """Classes of labelled data, or clusters of unlabelled ones, with the images of both sides sorted into them.

    Args:
        names: of the kinds, in words.
        by: the rule, in words.
        clusters: whether kinds are clusters.
        votes: (N, K) and (M, K) soft memberships of both sides, rows summing to 1.
        truth: (M,) what the held-out images are, where their classes are known.
    """

    names: tuple[str, ...]
    by: str
    clusters: bool
    votes: tuple[Tensor, Tensor]
    truth: Tensor | None = None

    @property
    def generated(self) -> Tensor:
        """Kind of each generated image (N,)."""
        return self.votes[0].argmax(1)

    @property
    def held_out(self) -> Tensor:
        """Kind of each held-out image (M,), by the same rule."""
        return self.votes[1].argmax(1)

    @property
    def right(self) -> float | None:
        """Share of the held-out images that the rule gets right, where their classes are known."""
        return None if self.truth is None else float((self.held_out == self.truth).double().mean())

    def __len__(self) -> int:
        return len(self.names)

    def counts(self) -> tuple[Tensor, Tensor]:
        """Images (K,) of each kind: generated, held-out."""
        generated, held_out = (torch.bincount(side, minlength=len(self)) for side in (self.generated, self.held_out))
        return generated, held_out


def kinds_of(evidence: Evidence) -> Kinds:
    """By the classes of the training images where these are known, and by clusters otherwise."""
    return evidence.once(
        "kinds", lambda: _classes(evidence) if evidence.train.labels is not None else _clusters(evidence)
    )


def _classes(evidence: Evidence) -> Kinds:
    """By the judge that is right more often about held-out images; by neighbours where their classes are not known."""
    labels = evidence.train.labels
    assert labels is not None
    evidence.report("classes of generated and held-out images")
    known, places = torch.unique(labels, return_inverse=True)
    names = tuple(f"class {int(name)}" for name in known)
    told = evidence.held_out.labels
    truth = None if told is None or not bool(torch.isin(told, known).all()) else torch.searchsorted(known, told)
    found = [_neighbours(evidence, places, len(known), names, truth)]
    if truth is not None and 2 <= len(known) <= MOST_DISCRIMINATED:
        found.append(_discriminants(evidence, places, names, truth))
    return max(found, key=lambda kinds: kinds.right or 0.0)


def _neighbours(evidence: Evidence, places: Tensor, known: int, names: tuple[str, ...], truth: Tensor | None) -> Kinds:
    k = min(NEIGHBOURS, int(torch.bincount(places).float().median()))
    votes = []
    for side in SIDES:
        voters = places[evidence.nearest(side, "train", NEIGHBOURS).indices[:, :k]]  # the nearest first
        share = torch.zeros(len(voters), known, dtype=torch.float64)
        # The vote of the nearest weighs a little more, which decides ties.
        weights = 1 + 0.01 * torch.arange(k, 0, -1, dtype=torch.float64)
        votes.append(share.scatter_add_(1, voters, (weights / weights.sum()).expand_as(voters)))
    rule = f"vote of the {k} nearest of {len(places):,} training images by {evidence.space}"
    return Kinds(names, rule, False, (votes[0], votes[1]), truth)


def _discriminants(evidence: Evidence, places: Tensor, names: tuple[str, ...], truth: Tensor) -> Kinds:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    chosen = _some(torch.arange(len(places)), evidence, CLUSTERED)
    judge = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    judge.fit(evidence.features("train")[chosen].double().numpy(), places[chosen].numpy())
    votes = [torch.zeros(len(evidence.features(side)), len(names), dtype=torch.float64) for side in SIDES]
    for side, vote in zip(SIDES, votes):
        seen = judge.predict_proba(evidence.features(side).double().numpy())
        vote[:, torch.from_numpy(judge.classes_)] = torch.from_numpy(seen)
    rule = f"linear discriminants of {len(chosen):,} training images by {evidence.space}"
    return Kinds(names, rule, False, (votes[0], votes[1]), truth)


def _clusters(evidence: Evidence) -> Kinds:
    from sklearn.cluster import MiniBatchKMeans

    evidence.report("kinds of images, by clusters")
    features = _some(evidence.features("train"), evidence, CLUSTERED)
    smallest = min(len(features), len(evidence.held_out), len(evidence.generated))
    count = int(np.clip(smallest // PER_KIND, FEWEST_KINDS, MOST_KINDS))
    means = MiniBatchKMeans(count, n_init=3, batch_size=1024, random_state=evidence.seed_of("kinds") % 2**31)
    means.fit(features.numpy())
    sides: list[Tensor] = []
    for side in SIDES:
        found: NDArray[np.int32] = means.predict(evidence.features(side).numpy())
        sides.append(torch.from_numpy(found).long())
    hot = [torch.nn.functional.one_hot(side, count).double() for side in sides]
    names = tuple(f"kind {i + 1}" for i in range(count))
    rule = f"nearest of {count} k-means centres of {len(features):,} training images by {evidence.space}"
    return Kinds(names, rule, True, (hot[0], hot[1]))


def _some(rows: Tensor, evidence: Evidence, most: int) -> Tensor:
    """The same random rows for each call with as many."""
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=evidence.rng("kinds"))[:most]]
