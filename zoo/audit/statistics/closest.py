"""The exchange test of the closest images, at several depths: how many images are close is left to the data.

A few copies among many honest images are lost in the exchange test of all images (`zoo.audit.statistics.memory`), and
a fixed threshold of closeness either mixes them with honest images or cuts some of them off. Here the real images
nearest to generated ones are put in order, the closest first, each once. Of the first k, the number of training images
is compared with chance, for several depths k. The smallest of these p-values is corrected exactly for the choice of
the depth: if training and held-out images are exchangeable, their order is that of a shuffled deck of cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from zoo.audit.statistics.memory import ExchangeTest, RealNeighbours

FEWEST = 8  # real images at the smallest depth
STEP = 2**0.5  # factor between depths
EQUAL = 1 + 1e-9  # p-values that differ by a smaller factor are equal


@dataclass(frozen=True)
class Scan:
    """The depth at which training images are most clearly too many.

    Args:
        exchange: the exchange test at this depth.
        ratio: closeness of the last image within it, see `RealNeighbours`.
        p: p-value, corrected exactly for the choice of the depth; 1 without images.
    """

    exchange: ExchangeTest
    ratio: float
    p: float


def depths(winners: int) -> list[int]:
    """Return the depths at which so many distinct real images are tested, ascending: all of them, and ever fewer."""
    found: list[int] = []
    depth = float(winners)
    while round(depth) >= min(FEWEST, max(1, winners)):
        found.append(round(depth))
        depth /= STEP
    return sorted(set(found))


def scan(neighbours: RealNeighbours) -> Scan:
    """Test the real images nearest to queries, the closest first, at several depths."""
    ratios, order = neighbours.ratios.sort(stable=True)
    ordered = neighbours.winners[order].numpy()
    first = np.sort(np.unique(ordered, return_index=True)[1])  # the closest query of each real image
    trained = np.cumsum(ordered[first] < neighbours.train)
    train, held_out = neighbours.train, neighbours.held_out
    at = depths(len(first))
    if not at:
        return Scan(ExchangeTest(0, 0, train, held_out), -np.inf, 1.0)
    tails = [tail_probabilities(depth, train, held_out) for depth in at]
    p = [float(tail[trained[depth - 1]]) for depth, tail in zip(at, tails)]
    best = int(np.argmin(p))
    bounds = [int((tail > p[best] * EQUAL).sum()) for tail in tails]
    depth = at[best]
    return Scan(
        ExchangeTest(depth, int(trained[depth - 1]), train, held_out),
        float(ratios[int(first[depth - 1])]),
        crossing_probability(at, bounds, train, held_out),
    )


@lru_cache(maxsize=4096)
def tail_probabilities(drawn: int, train: int, held_out: int) -> NDArray[np.float64]:
    """Return the probabilities (drawn + 1,) that at least 0, 1, ... of the images drawn are training images."""
    masses = stats.hypergeom.pmf(np.arange(drawn + 1), train + held_out, train, drawn)
    tails: NDArray[np.float64] = np.cumsum(masses[::-1])[::-1]
    return tails


def crossing_probability(at: list[int], bounds: list[int], train: int, held_out: int) -> float:
    """Return the probability that at some depth at least so many of the images drawn until then are training images.

    Args:
        at: the depths (K,), ascending.
        bounds: the number of training images at each depth (K,).
        train: size of the training set.
        held_out: size of the held-out set; images are drawn from both sets together, without replacement.
    """
    below = np.ones(1)  # probability of each number of training images so far, while no bound was reached
    crossed, bound = 0.0, dict(zip(at, bounds))
    for drawn in range(at[-1]):
        chance = np.clip((train - np.arange(len(below))) / (train + held_out - drawn), 0, 1)
        after = np.zeros(len(below) + 1)
        after[1:] = below * chance
        after[:-1] += below * (1 - chance)
        limit = bound.get(drawn + 1, len(after))
        crossed += float(after[limit:].sum())
        below = after[:limit]
    return min(1.0, crossed)
