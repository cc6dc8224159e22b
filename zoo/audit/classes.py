"""Of which class, or at least of which kind, an image is; for real and generated ones by the same rule.

Whoever judges makes mistakes. As generated and held-out images are judged alike, mistakes are the same on both sides
for a generator that is right, and shares can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.audit.evidence import NEIGHBOURS, Evidence

CLUSTERED = 20_000  # training images that kinds are made of at most
PER_KIND = 50  # training images for each kind, at least
MOST_KINDS = 30
FEWEST_KINDS = 5


@dataclass(frozen=True)
class Kinds:
    """Classes of labelled data, or clusters of unlabelled ones, with the images of both sides sorted into them.

    Args:
        names: of the kinds, in words.
        generated: (N,) kind of each generated image.
        held_out: (M,) kind of each held-out image, by the same rule.
        by: the rule, in words.
        clusters: whether kinds are clusters.
        votes: (N, K) and (M, K) soft memberships of both sides, rows summing to 1.
        right: of the held-out images with a known class, the share that the rule gets right; None without.
    """

    names: tuple[str, ...]
    generated: Tensor
    held_out: Tensor
    by: str
    clusters: bool
    votes: tuple[Tensor, Tensor]
    right: float | None = None

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
    labels = evidence.train.labels
    assert labels is not None
    evidence.report("classes of generated and held-out images")
    known, places = torch.unique(labels, return_inverse=True)
    k = min(NEIGHBOURS, int(torch.bincount(places).float().median()))
    votes = []
    for side in ("generated", "held_out"):
        voters = places[evidence.nearest(side, "train", NEIGHBOURS).places[:, :k]]  # the nearest first
        share = torch.zeros(len(voters), len(known), dtype=torch.float64)
        # The vote of the nearest weighs a little more, which decides ties.
        weights = 1 + 0.01 * torch.arange(k, 0, -1, dtype=torch.float64)
        votes.append(share.scatter_add_(1, voters, (weights / weights.sum()).expand_as(voters)))
    found = [side.argmax(1) for side in votes]
    truth = evidence.held_out.labels
    right = None if truth is None else float((known[found[1]] == truth).double().mean())
    names = tuple(f"class {int(name)}" for name in known)
    rule = f"vote of the {k} nearest of {len(labels):,} training images by {evidence.space}"
    return Kinds(names, found[0], found[1], rule, False, (votes[0], votes[1]), right)


def _clusters(evidence: Evidence) -> Kinds:
    from sklearn.cluster import MiniBatchKMeans

    evidence.report("kinds of images, by clusters")
    features = _some(evidence.features("train"), evidence, CLUSTERED)
    smallest = min(len(features), len(evidence.held_out), len(evidence.generated))
    count = int(np.clip(smallest // PER_KIND, FEWEST_KINDS, MOST_KINDS))
    means = MiniBatchKMeans(count, n_init=3, batch_size=1024, random_state=evidence.seed_of("kinds") % 2**31)
    means.fit(features.numpy())
    sides: list[Tensor] = []
    for side in ("generated", "held_out"):
        found: NDArray[np.int32] = means.predict(evidence.features(side).numpy())
        sides.append(torch.from_numpy(found).long())
    hot = [torch.nn.functional.one_hot(side, count).double() for side in sides]
    names = tuple(f"kind {i + 1}" for i in range(count))
    rule = f"nearest of {count} k-means centres of {len(features):,} training images by {evidence.space}"
    return Kinds(names, sides[0], sides[1], rule, True, (hot[0], hot[1]))


def _some(rows: Tensor, evidence: Evidence, most: int) -> Tensor:
    """The same random rows for each call with as many."""
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=evidence.rng("kinds"))[:most]]
