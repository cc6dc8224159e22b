"""What of each kind is drawn too rarely or too often, and what is drawn without variety."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.audit.statistics import ALARM, holm, mann_whitney, shares_differ

DROPPED = 0.5
"""Dropped: drawn less than this often as real images have it. Shares of decent generators vary by a third."""
COLLAPSED = 0.5
"""Collapsed: half the usual distance between two images of a kind. Generators that merely prefer the typical keep
0.8 and more; half is what two images, each drawn again and again, would leave of a mean."""
FEWEST_IN_KIND = 10  # images on each side that the variety of a kind needs
MOST_IN_KIND = 500  # enough for distances between pairs


@dataclass(frozen=True)
class Share:
    """How often a kind is drawn, against held-out images.

    Args:
        kind: its place.
        drawn: generated images of it, of `n`.
        usual: held-out images of it, of `n_usual`.
        p: that the shares are equal, two-sided, corrected for the number of kinds (Holm).
    """

    kind: int
    drawn: int
    n: int
    usual: int
    n_usual: int
    p: float

    @property
    def ratio(self) -> float:
        """Generated share over the held-out one."""
        return (self.drawn / self.n) / (self.usual / self.n_usual) if self.usual else np.inf

    @property
    def dropped(self) -> bool:
        """Significantly, and by more than half, too rare."""
        return self.p < ALARM and self.ratio < DROPPED

    @property
    def differs(self) -> bool:
        """Whether more than chance lies between the shares."""
        return self.p < ALARM


def shares(drawn: Tensor, usual: Tensor) -> list[Share]:
    """Compare counts (K,) of generated and of held-out images."""
    n, n_usual = int(drawn.sum()), int(usual.sum())
    pairs = list(zip(drawn.tolist(), usual.tolist()))
    p = holm(np.array([shares_differ(a, n, b, n_usual, "two-sided") for a, b in pairs]))
    return [Share(i, a, n, b, n_usual, float(q)) for i, ((a, b), q) in enumerate(zip(pairs, p))]


def agreement(right: Tensor, asked: Tensor, right_usual: Tensor, true: Tensor, kinds: int) -> list[Share]:
    """How often images asked for as a kind are seen as it, against held-out images that are of it."""
    rows = []
    for kind in range(kinds):
        mine, theirs = right[asked == kind], right_usual[true == kind]
        if len(mine) and len(theirs):
            a, b = int(mine.sum()), int(theirs.sum())
            rows.append((kind, a, len(mine), b, len(theirs), shares_differ(a, len(mine), b, len(theirs), "two-sided")))
    p = holm(np.array([row[-1] for row in rows])) if rows else np.zeros(0)
    return [Share(*row[:-1], float(q)) for row, q in zip(rows, p)]


@dataclass(frozen=True)
class Variety:
    """How far images of a kind lie apart.

    Args:
        kind: its place.
        drawn: median distance between generated images of it.
        usual: between as many held-out ones.
        n: images compared on each side.
        p: that generated images do not lie closer together, corrected (Holm).
    """

    kind: int
    drawn: float
    usual: float
    n: int
    p: float

    @property
    def ratio(self) -> float:
        """Of the distances; 1 where held-out images are all alike."""
        return self.drawn / self.usual if self.usual else 1.0

    @property
    def collapsed(self) -> bool:
        """Significantly, and by more than half, too close together."""
        return self.p < ALARM and self.ratio < COLLAPSED


def spread(features: Tensor) -> Tensor:
    """Median distance (N,) of each of N images to the others. Medians forget the few that were sorted in wrongly."""
    apart: Tensor = torch.cdist(features.double(), features.double(), compute_mode="donot_use_mm_for_euclid_dist")
    n = len(features)
    others = apart[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)
    return others.median(1).values


def variety(
    drawn: Tensor, kind_drawn: Tensor, usual: Tensor, kind_usual: Tensor, kinds: int, draw: torch.Generator
) -> list[Variety]:
    """Compare the spread of each kind that both sides have enough images of.

    Args:
        drawn: features (N, width) of generated images.
        kind_drawn: (N,) their kinds.
        usual: features (M, width) of held-out images.
        kind_usual: (M,) their kinds.
        kinds: how many there are.
        draw: chooses among many images, and as many on both sides.
    """
    found: list[tuple[int, float, float, int]] = []
    p: list[float] = []
    for kind in range(kinds):
        sides = [(kind_drawn == kind).nonzero()[:, 0], (kind_usual == kind).nonzero()[:, 0]]
        n = min(len(sides[0]), len(sides[1]), MOST_IN_KIND)
        if n < FEWEST_IN_KIND:
            continue
        chosen = [side[torch.randperm(len(side), generator=draw)[:n]] for side in sides]
        a, b = spread(drawn[chosen[0]]), spread(usual[chosen[1]])
        found.append((kind, float(a.median()), float(b.median()), n))
        p.append(mann_whitney(a, b, "less"))
    corrected: NDArray[np.float64] = holm(np.array(p)) if p else np.zeros(0)
    return [Variety(*row, float(q)) for row, q in zip(found, corrected)]
