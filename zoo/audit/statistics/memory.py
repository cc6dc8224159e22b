"""Statistics of memorisation: is a generator closer to its training images than to held-out ones?

A fixed distance threshold also flags generators that memorise nothing: blurred images move towards the mean and so
closer to every image, and where images are simple all are close to each other. The exchange test compares the two sets
of real images instead. If a generator has no special knowledge of its training images, training and held-out images
are exchangeable: among the real images that are nearest to a generated one, the share of training images is that of
the training set among all real images. This holds exactly for blurred, noisy, collapsed and partial generators alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from zoo.audit.statistics.distances import NEIGHBOURS, Nearest, nearest
from zoo.audit.statistics.significance import wilson
from zoo.metrics.data_copying import cell_scores

RATIO_RANK = NEIGHBOURS
"""Rank of the neighbour whose distance the nearest one is divided by. With the fifth, copies of training images that
are in the data two or three times still have a small ratio."""


@dataclass(frozen=True)
class ExchangeTest:
    """Test whether training images are nearest neighbours of generated ones more often than held-out images are.

    Each real image counts once, however often it is the nearest one, so duplicates among the generated images add no
    evidence.

    Args:
        winners: number of distinct real images that are nearest to a generated image.
        train_winners: number of training images among them.
        train: size of the training set.
        held_out: size of the held-out set.
    """

    winners: int
    train_winners: int
    train: int
    held_out: int

    @property
    def expected(self) -> float:
        """Win rate expected by chance: the share of training images among all real images."""
        return self.train / (self.train + self.held_out)

    @property
    def win_rate(self) -> float:
        """Train-set win rate: the share of training images among the winners."""
        return self.train_winners / max(1, self.winners)

    @property
    def p(self) -> float:
        """Exact one-sided p-value; 1 if there are no winners.

        It is the probability that at least `train_winners` of `winners` images are training images, if they are drawn
        without replacement from all real images (hypergeometric distribution).
        """
        if not self.winners:
            return 1.0
        return float(stats.hypergeom.sf(self.train_winners - 1, self.train + self.held_out, self.train, self.winners))

    @property
    def excess(self) -> tuple[float, float, float]:
        """Excess win rate (rate - expected) / (1 - expected) with its 95 % interval: 0 by chance, at most 1.

        Without winners it is 0, with the interval from 0 to 1.
        """
        if not self.winners:
            return 0.0, 0.0, 1.0
        rates = (self.train_winners / self.winners, *wilson(self.train_winners, self.winners))
        value, low, high = ((rate - self.expected) / (1 - self.expected) for rate in rates)
        return value, low, high


@dataclass(frozen=True)
class RealNeighbours:
    """The real images nearest to each of N queries, among training and held-out images together.

    Args:
        ratios: distances (N,) to the nearest real image, divided by the distance to the `RATIO_RANK`-th; small where
            one real image is much closer than all others.
        winners: indices (N,) of the nearest real image: in the training set, or in the held-out set plus `train`.
        train: size of the training set.
        held_out: size of the held-out set.
    """

    ratios: Tensor
    winners: Tensor
    train: int
    held_out: int

    def exchange(self, chosen: Tensor | slice = slice(None)) -> ExchangeTest:
        """Test the winners of some queries.

        Args:
            chosen: mask (N,) or slice of the queries, chosen without regard to which set the nearest image is in.
        """
        distinct = torch.unique(self.winners[chosen])
        return ExchangeTest(len(distinct), int((distinct < self.train).sum()), self.train, self.held_out)


def real_neighbours(to_train: Nearest, to_held_out: Nearest, train: int, held_out: int) -> RealNeighbours:
    """Merge the nearest training and held-out images of each query.

    Args:
        to_train: the nearest training images of each query, at least `RATIO_RANK`.
        to_held_out: the nearest held-out images of each query, at least as many, without the query itself.
        train: size of the training set.
        held_out: size of the held-out set.
    """
    distances = torch.cat([to_train.distances, to_held_out.distances], 1)
    indices = torch.cat([to_train.indices, to_held_out.indices + train], 1)
    ordered = distances.sort(dim=1, stable=True)
    first, last = ordered.values[:, 0], ordered.values[:, RATIO_RANK - 1]
    ratios = torch.where(last > 0, first / last.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    return RealNeighbours(ratios, indices.gather(1, ordered.indices[:, :1])[:, 0], train, held_out)


def ratio_threshold(ratios: Tensor, rate: float) -> float | None:
    """Return the threshold that a given share of ratios (N,) does not exceed; None if `rate` x N is below 1."""
    count = math.floor(rate * len(ratios))
    return float(ratios.sort().values[count - 1]) if count >= 1 else None


# --- statistics from the literature, for comparison ------------------------------------------------------------------


@dataclass(frozen=True)
class WeightedScore:
    """The mean z-score over cells, with its deviation under the null.

    Args:
        value: far below 0 if generated images are closer to training images than held-out images are.
        deviation: standard deviation of the value if generated and held-out images are distributed alike.
        cells: number of cells (clusters of the training images) that had enough images to be compared; if it is 0,
            value and deviation are NaN.
    """

    value: float
    deviation: float
    cells: int


def project(train: Tensor, *others: Tensor, width: int = 64, most: int = 10_000) -> list[Tensor]:
    """Project features on the first principal components of the training images.

    Args:
        train: features (N, D); the components are fitted to the first `most` of them.
        others: further features (M, D) to project.
        width: number of components.
        most: number of training images that the components are fitted to.

    Returns:
        All features, (N, width) and (M, width); unchanged if D is at most `width`.
    """
    from sklearn.decomposition import PCA

    if train.shape[1] <= width:
        return [train, *others]
    # Faster than the exact components of `zoo.metrics.DataCopying`, and as fair: generated images and their null are
    # projected alike.
    components = PCA(min(width, len(train)), svd_solver="randomized", random_state=0).fit(train[:most].numpy())
    return [torch.from_numpy(components.transform(features.numpy())) for features in (train, *others)]


def data_copying(train: Tensor, held_out: Tensor, generated: Tensor, cells: int, seed: int) -> WeightedScore:
    """Compute C_T of Meehan et al. 2020 (arXiv:2004.05675), the z-score for closeness to training images.

    In each cell of a k-means partition of the training images, the distances of generated and of held-out images to the
    nearest training image of the cell are compared by the Mann-Whitney z-score. C_T is the mean z-score, weighted by
    the number of held-out images, over cells with more than 20 generated images. It is an average tendency: a few
    copies hardly change it, while blurred images, which are close to every image, lower it.

    Args:
        train: features (N, D) of training images.
        held_out: features (M, D) of held-out images.
        generated: features (K, D) of generated images.
        cells: number of cells of the partition.
        seed: seed of k-means.
    """
    from sklearn.cluster import KMeans

    # This is computed twice for each feature space, and a generator is compared with its own null, which has the same
    # cells: a quick partition of a subset will do, where `zoo.metrics.DataCopying` follows the authors' code.
    subset = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:5_000]]
    means = KMeans(cells, n_init=3, random_state=seed % 2**31).fit(subset.numpy().astype(np.float64))
    sides = train, held_out, generated
    scores = cell_scores(sides, [torch.from_numpy(means.predict(x.numpy().astype(np.float64))) for x in sides])
    if not scores:
        return WeightedScore(math.nan, math.nan, 0)
    weight = sum(score.held_out for score in scores)
    value = sum(score.held_out * score.z for score in scores) / weight
    return WeightedScore(value, math.hypot(*(score.held_out for score in scores)) / weight, len(scores))


def authentic(queries: Nearest, train: Tensor) -> Tensor:
    """Mark queries farther from their nearest training image than that image is from its nearest other training image.

    Authenticity of Alaa et al. 2022 (arXiv:2102.08921). The share for held-out images depends on the dimension of the
    data and lies anywhere between a third and a half, so compare with that.

    Args:
        queries: nearest training images of each of N queries.
        train: features (M, D) of the training images.

    Returns:
        Mask (N,).
    """
    distinct, inverse = torch.unique(queries.indices[:, 0], return_inverse=True)
    spacing = nearest(train[distinct], train, 2).distances[:, 1]
    return spacing[inverse] < queries.distances[:, 0]
