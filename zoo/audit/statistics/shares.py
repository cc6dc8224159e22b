"""Shares of classes or clusters among generated images, and the variety within each, against held-out images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from zoo.audit.statistics.significance import ALARM, Z95, fisher_exact, holm, mann_whitney, wilson

DROPPED = 0.5
"""A kind is dropped below this ratio of its share to that among held-out images. Shares of sound generators vary by a
third."""
COLLAPSED = 0.5
"""A kind is collapsed below this ratio of its variety to that of held-out images. Generators that merely prefer typical
images keep 0.8 and more; a kind of only two images, each drawn many times, has half the mean distance."""
FEWEST_IN_KIND = 10  # images on each side that the variety of a kind needs
MOST_IN_KIND = 500  # images on each side that the variety of a kind is measured on
LARGEST_CONDITION = 50.0  # condition number of the confusion matrix above which it is not inverted

Estimate = tuple[float, float, float]
"""A share with the lower and the upper end of its 95 % interval, all in [0, 1]."""


@dataclass(frozen=True)
class Share:
    """The share of a kind (class or cluster) among generated images, against held-out ones.

    Args:
        kind: index of the kind.
        generated: share among generated images.
        held_out: share among held-out images.
        n: number of generated images that the share refers to.
        held_out_n: number of held-out images that the share refers to.
        p: two-sided p-value that the shares are equal, corrected for the number of kinds (Holm).
    """

    kind: int
    generated: Estimate
    held_out: Estimate
    n: int
    held_out_n: int
    p: float

    @property
    def ratio(self) -> float:
        """Generated share over held-out share; infinite if the latter is 0."""
        return self.generated[0] / self.held_out[0] if self.held_out[0] else np.inf

    @property
    def dropped(self) -> bool:
        """Whether the shares differ significantly and their ratio is below `DROPPED`."""
        return self.p < ALARM and self.ratio < DROPPED

    @property
    def differs(self) -> bool:
        """Whether the shares differ significantly."""
        return self.p < ALARM


def shares(generated: Tensor, held_out: Tensor) -> list[Share]:
    """Compare the counts (K,) of each kind among generated and among held-out images by Fisher's exact test."""
    n, m = int(generated.sum()), int(held_out.sum())
    return _compared([(kind, a, n, b, m) for kind, (a, b) in enumerate(zip(generated.tolist(), held_out.tolist()))])


def agreement(right: Tensor, requested: Tensor, held_out_right: Tensor, true: Tensor, kinds: int) -> list[Share]:
    """Compare how often generated images are classified as requested with how often held-out images are as labelled.

    Args:
        right: mask (N,) of generated images classified as the requested class.
        requested: requested class (N,) of each generated image.
        held_out_right: mask (M,) of held-out images classified as their class.
        true: class (M,) of each held-out image.
        kinds: number of classes.

    Returns:
        For each class that both sides have images of, the share of its images that are classified as it.
    """
    rows = []
    for kind in range(kinds):
        mine, theirs = right[requested == kind], held_out_right[true == kind]
        if len(mine) and len(theirs):
            rows.append((kind, int(mine.sum()), len(mine), int(theirs.sum()), len(theirs)))
    return _compared(rows)


def _compared(rows: list[tuple[int, int, int, int, int]]) -> list[Share]:
    """Compare counts, given as (kind, generated count, generated total, held-out count, held-out total)."""
    p = holm([fisher_exact(*row[1:], "two-sided") for row in rows])
    return [
        Share(kind, (a / n, *wilson(a, n)), (b / m, *wilson(b, m)), n, m, float(q))
        for (kind, a, n, b, m), q in zip(rows, p)
    ]


def confusion_corrected_shares(predicted: Tensor, held_out_predicted: Tensor, true: Tensor) -> list[Share] | None:
    """Estimate the shares of classes, corrected for the mistakes of the classifier.

    Black-box shift estimation of Lipton et al. 2018 (arXiv:1802.03916). A classifier that takes every third cat for a
    dog hides that no cats are drawn, as some dogs are taken for cats. Held-out images of known class give its confusion
    matrix C, (K, K), with the mean prediction for each true class. If generated images of a class look to it like real
    ones, their mean prediction is q C for the class shares q, which the linear system gives. Each image then counts
    for a class with a weight whose mean over real images is 1 for their class and 0 for the others.

    Args:
        predicted: predicted class memberships (N, K) of generated images.
        held_out_predicted: predicted class memberships (M, K) of held-out images.
        true: classes (M,) of the held-out images.

    Returns:
        A share for each class; None if a class has too few held-out images, or if the confusion matrix is close to
        singular.
    """
    kinds = predicted.shape[1]
    counts = torch.bincount(true, minlength=kinds)
    if int(counts.min()) < FEWEST_IN_KIND:
        return None
    confusion = torch.stack([held_out_predicted[true == kind].double().mean(0) for kind in range(kinds)])
    if float(torch.linalg.cond(confusion)) > LARGEST_CONDITION:
        return None
    mine, theirs = (
        torch.linalg.solve(confusion, side.double(), left=False) for side in (predicted, held_out_predicted)
    )
    n, m = len(mine), len(theirs)
    drawn, usual = mine.mean(0), theirs.mean(0)
    # Standard error of the difference if both distributions are equal; errors of the confusion matrix then cancel.
    error = (theirs.var(0) * (1 / n + 1 / m)).sqrt()
    z = ((drawn - usual) / error).nan_to_num(0.0)  # with a single class the error is 0
    p = holm(2 * stats.norm.sf(z.abs().numpy()))
    within = torch.stack([theirs[true == kind].var(0) / counts[kind] for kind in range(kinds)])
    reach = Z95 * (mine.var(0) / n + (drawn.square()[:, None] * within).sum(0)).sqrt()
    lows, highs = (drawn - reach).clamp(0, 1).tolist(), (drawn + reach).clamp(0, 1).tolist()
    values = drawn.clamp(0, 1).tolist()
    return [
        Share(kind, (values[kind], lows[kind], highs[kind]), (k / m, *wilson(k, m)), n, m, float(p[kind]))
        for kind, k in enumerate(counts.tolist())
    ]


@dataclass(frozen=True)
class Variety:
    """The variety of a kind: how far apart its images are.

    Args:
        kind: index of the kind.
        generated: median distance between generated images of the kind.
        held_out: median distance between as many held-out images of the kind.
        n: number of images compared on each side.
        p: one-sided p-value that generated images are no closer together, corrected for the number of kinds (Holm).
    """

    kind: int
    generated: float
    held_out: float
    n: int
    p: float

    @property
    def ratio(self) -> float:
        """Generated over held-out distance; 1 if all held-out images are the same."""
        return self.generated / self.held_out if self.held_out else 1.0

    @property
    def collapsed(self) -> bool:
        """Whether generated images are significantly closer together and the ratio is below `COLLAPSED`."""
        return self.p < ALARM and self.ratio < COLLAPSED


def median_distances(features: Tensor) -> Tensor:
    """Compute the median distance of each image to the others; medians are robust to misclassified images.

    Args:
        features: features (N, D).

    Returns:
        Euclidean distances (N,).
    """
    distances: Tensor = torch.cdist(features.double(), features.double(), compute_mode="donot_use_mm_for_euclid_dist")
    n = len(features)
    others = distances[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)
    return others.median(1).values


def variety(
    generated: Tensor,
    generated_kinds: Tensor,
    held_out: Tensor,
    held_out_kinds: Tensor,
    kinds: int,
    draw: torch.Generator,
) -> list[Variety]:
    """Compare the variety of each kind that both sides have at least `FEWEST_IN_KIND` images of.

    Args:
        generated: features (N, D) of generated images.
        generated_kinds: kind (N,) of each generated image.
        held_out: features (M, D) of held-out images.
        held_out_kinds: kind (M,) of each held-out image.
        kinds: number of kinds.
        draw: random generator that chooses as many images of a kind on both sides.
    """
    rows: list[tuple[int, float, float, int]] = []
    p: list[float] = []
    for kind in range(kinds):
        sides = [(generated_kinds == kind).nonzero()[:, 0], (held_out_kinds == kind).nonzero()[:, 0]]
        n = min(len(sides[0]), len(sides[1]), MOST_IN_KIND)
        if n < FEWEST_IN_KIND:
            continue
        chosen = [side[torch.randperm(len(side), generator=draw)[:n]] for side in sides]
        a, b = median_distances(generated[chosen[0]]), median_distances(held_out[chosen[1]])
        rows.append((kind, float(a.median()), float(b.median()), n))
        p.append(mann_whitney(a, b, "less"))
    return [Variety(*row, float(q)) for row, q in zip(rows, holm(p))]
