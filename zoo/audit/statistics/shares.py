"""What of each kind is drawn too rarely or too often, and what is drawn without variety."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from zoo.audit.statistics.significance import ALARM, Z95, holm, mann_whitney, shares_differ, wilson

DROPPED = 0.5
"""Dropped: drawn less than this often as real images have it. Shares of decent generators vary by a third."""
COLLAPSED = 0.5
"""Collapsed: half the usual distance between two images of a kind. Generators that merely prefer the typical keep
0.8 and more; half is what two images, each drawn again and again, would leave of a mean."""
FEWEST_IN_KIND = 10  # images on each side that the variety of a kind needs
MIXED = 50.0  # condition of what a judge sees of each class, beyond which its mistakes cannot be undone
MOST_IN_KIND = 500  # enough for distances between pairs


@dataclass(frozen=True)
class Share:
    """How often a kind is drawn, against held-out images.

    Args:
        kind: its place.
        drawn: its share of generated images, with the ends of its 95 % interval.
        usual: its share of held-out images, with the ends of its 95 % interval.
        n: generated images that `drawn` is a share of.
        n_usual: held-out images that `usual` is a share of.
        p: that the shares are equal, two-sided, corrected for the number of kinds (Holm).
    """

    kind: int
    drawn: tuple[float, float, float]
    usual: tuple[float, float, float]
    n: int
    n_usual: int
    p: float

    @property
    def ratio(self) -> float:
        """Generated share over the held-out one."""
        return self.drawn[0] / self.usual[0] if self.usual[0] else np.inf

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
    return _counted([(kind, a, n, b, n_usual) for kind, (a, b) in enumerate(zip(drawn.tolist(), usual.tolist()))])


def agreement(right: Tensor, asked: Tensor, right_usual: Tensor, true: Tensor, kinds: int) -> list[Share]:
    """How often images asked for as a kind are seen as it, against held-out images that are of it."""
    rows = []
    for kind in range(kinds):
        mine, theirs = right[asked == kind], right_usual[true == kind]
        if len(mine) and len(theirs):
            rows.append((kind, int(mine.sum()), len(mine), int(theirs.sum()), len(theirs)))
    return _counted(rows)


def _counted(rows: list[tuple[int, int, int, int, int]]) -> list[Share]:
    """From kind, generated images of it and in all, held-out images of it and in all."""
    p = holm(np.array([shares_differ(*row[1:], "two-sided") for row in rows]))
    return [
        Share(kind, (a / n, *wilson(a, n)), (b / m, *wilson(b, m)), n, m, float(q))
        for (kind, a, n, b, m), q in zip(rows, p)
    ]


def unmixed_shares(seen: Tensor, seen_usual: Tensor, true: Tensor) -> list[Share] | None:
    """Shares of classes, freed of the mistakes of whoever judges them (Lipton et al. 2018, arXiv:1802.03916).

    A judge that takes every third cat for a dog hides that no cats are drawn: dogs taken for cats stand in for them.
    Held-out images of known classes tell how the judge sees each class. Where the generator's images of a class look
    to it like real ones, the shares that explain what it sees among them solve a linear system; each image then counts
    for a class by a weight whose mean over real images is 1 for that class and 0 for the others.

    Args:
        seen: memberships (N, K) of generated images, as the judge sees them.
        seen_usual: (M, K), of held-out images.
        true: (M,) their classes.

    Returns:
        A share for each class, or None where held-out images are too few of a class, or judged too much at random.
    """
    kinds = seen.shape[1]
    real = torch.bincount(true, minlength=kinds)
    if int(real.min()) < FEWEST_IN_KIND:
        return None
    judged = torch.stack([seen_usual[true == kind].double().mean(0) for kind in range(kinds)])
    if float(torch.linalg.cond(judged)) > MIXED:
        return None
    mine, theirs = (torch.linalg.solve(judged, side.double(), left=False) for side in (seen, seen_usual))
    n, m = len(mine), len(theirs)
    drawn, usual = mine.mean(0), theirs.mean(0)
    # Of the difference where both are alike; the system's own errors fall out of it.
    error = (theirs.var(0) * (1 / n + 1 / m)).sqrt()
    z = ((drawn - usual) / error).nan_to_num(0.0)  # of a single class there is no error
    p = holm(2 * stats.norm.sf(z.abs().numpy()))
    within = torch.stack([theirs[true == kind].var(0) / real[kind] for kind in range(kinds)])
    reach = Z95 * (mine.var(0) / n + (drawn.square()[:, None] * within).sum(0)).sqrt()
    lows, highs = (drawn - reach).clamp(0, 1).tolist(), (drawn + reach).clamp(0, 1).tolist()
    values = drawn.clamp(0, 1).tolist()
    return [
        Share(kind, (values[kind], lows[kind], highs[kind]), (k / m, *wilson(k, m)), n, m, float(p[kind]))
        for kind, k in enumerate(real.tolist())
    ]


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
