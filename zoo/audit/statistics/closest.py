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
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from zoo.audit.statistics.memory import ExchangeTest, RealNeighbours

FEWEST = 8  # real images at the smallest depth
STEP = 2  # factor between depths
EQUAL = 1 + 1e-9  # p-values that differ by a smaller factor are equal


@dataclass(frozen=True)
class Scan:
    """The depth at which generated images look most like copies.

    Args:
        exchange: the exchange test at this depth.
        hits: generated images within it: as close to a real image as the last one.
        n: number of generated images.
        null_hits: held-out images that are as close to another real image.
        null_n: number of held-out images.
        p: p-value, corrected exactly for the choice of the depth; 1 without images.
    """

    exchange: ExchangeTest
    hits: int
    n: int
    null_hits: int
    null_n: int
    p: float

    @property
    def excess(self) -> float:
        """The share of generated images within the depth, beyond that of held-out images."""
        return self.hits / self.n - self.null_hits / self.null_n


def depths(winners: int) -> list[int]:
    """Return the depths at which so many distinct real images are tested, ascending: all of them, and ever fewer."""
    found: list[int] = []
    depth: float = winners
    while round(depth) >= min(FEWEST, max(1, winners)):
        found.append(round(depth))
        depth /= STEP
    return sorted(set(found))


def scan(generated: RealNeighbours, held_out: Tensor) -> Scan:
    """Test the real images nearest to generated ones, the closest first, at several depths.

    A copy is also closer to a real image than honest images are. So the p-value of a depth is the larger one of two: of
    the exchange test, and of Fisher's test that generated images are within the depth no more often than held-out ones.
    The second cannot make it smaller, and the first alone is what the correction for the choice of the depth is for.

    Args:
        generated: the real neighbours of the generated images.
        held_out: ratios (M,) of the held-out images.
    """
    ratios, order = generated.ratios.sort(stable=True)
    ordered = generated.winners[order].numpy()
    first = np.sort(np.unique(ordered, return_index=True)[1])  # the closest generated image of each real one
    trained = np.cumsum(ordered[first] < generated.train)
    train, new, n, null_n = generated.train, generated.held_out, len(ratios), len(held_out)
    at = depths(len(first))
    if not at:
        return Scan(ExchangeTest(0, 0, train, new), 0, n, 0, null_n, 1.0)
    ends = ratios[torch.from_numpy(first[np.array(at) - 1])]
    hits = torch.searchsorted(ratios, ends, right=True).numpy()
    null_hits = torch.searchsorted(held_out.sort().values, ends, right=True).numpy()
    more = stats.hypergeom.sf(hits - 1, n + null_n, n, hits + null_hits)  # Fisher's exact test
    tails = [tail_probabilities(depth, train, new) for depth in at]
    p = np.maximum([tail[trained[depth - 1]] for depth, tail in zip(at, tails)], more)
    best = int(p.argmin())
    bounds = [int((tail > p[best] * EQUAL).sum()) for tail in tails]
    exchange = ExchangeTest(at[best], int(trained[at[best] - 1]), train, new)
    corrected = crossing_probability(at, bounds, train, new)
    return Scan(exchange, int(hits[best]), n, int(null_hits[best]), null_n, corrected)


@lru_cache(maxsize=256)
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
    left = train - np.arange(at[-1] + 1.0)  # training images that are left, by the number drawn
    below = np.ones(1)  # probability of each number of training images so far, while no bound was reached
    crossed, bound = 0.0, dict(zip(at, bounds))
    for drawn in range(at[-1]):
        one_more = below * (left[: len(below)] / (train + held_out - drawn))
        after = np.append(below, 0.0)
        after[:-1] -= one_more
        after[1:] += one_more
        limit = bound.get(drawn + 1, len(after))
        if limit < len(after):
            crossed += float(after[limit:].sum())
            after = after[:limit]
        below = after
    return min(1.0, crossed)
