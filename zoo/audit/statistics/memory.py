"""Whether a generator is nearer to the images it was trained on than to others of their kind.

Comparisons with a fixed distance ring for much that is no memory: blurred images move towards the mean and with it
towards everything, and whoever draws simple shapes finds all others near. So the question is turned round. Were the
generator to know nothing special of its training images, those and the held-out ones could be exchanged without its
noticing: among the real images that are nearest to something generated, the training set would have its share by number
and no more. That holds exactly, for blurred, noisy, collapsed and partial generators alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from zoo.audit.statistics.distances import NEIGHBOURS, Nearest, nearest
from zoo.audit.statistics.significance import Z95, wilson

AROUND = NEIGHBOURS
"""The nearest real image is called remarkably near in comparison with the fifth: copies of images that the data hold
twice or thrice still stand out."""


@dataclass(frozen=True)
class Surroundings:
    """The real images nearest to each query, of training and held-out ones together.

    Args:
        distances: (N,) to the nearest.
        ratios: (N,) of this distance to the `AROUND`-th; small where one real image is much nearer than the others.
        winners: (N,) which is nearest: a place in the training set, or in the held-out set with `train` added.
        train: training images.
        held_out: held-out images.
    """

    distances: Tensor
    ratios: Tensor
    winners: Tensor
    train: int
    held_out: int

    def exchange(self, chosen: Tensor | slice = slice(None)) -> Exchange:
        """Whether the nearest real images are training images more often than by their number.

        Args:
            chosen: of which queries; must be chosen without regard to which set is nearest.
        """
        different = torch.unique(self.winners[chosen])
        return Exchange(len(different), int((different < self.train).sum()), self.train, self.held_out)


@dataclass(frozen=True)
class Exchange:
    """How many of the real images nearest to something generated are training images.

    Each real image counts once, however often it is nearest, so a generator that repeats itself is no evidence.

    Args:
        winners: different real images that are nearest.
        trained: training images among them.
        train, held_out: sizes of the two sets.
    """

    winners: int
    trained: int
    train: int
    held_out: int

    @property
    def chance(self) -> float:
        """Share of training images among all real ones."""
        return self.train / (self.train + self.held_out)

    @property
    def p(self) -> float:
        """Chance of so many training images if both sets could be exchanged: hypergeometric, exact."""
        if not self.winners:
            return 1.0
        return float(stats.hypergeom.sf(self.trained - 1, self.train + self.held_out, self.train, self.winners))

    @property
    def excess(self) -> tuple[float, float, float]:
        """Share of winners that won from memory, with its interval: 0 by chance, 1 where all are training images."""
        if not self.winners:
            return 0.0, 0.0, 1.0
        shares = (self.trained / self.winners, *wilson(self.trained, self.winners))
        value, low, high = ((share - self.chance) / (1 - self.chance) for share in shares)
        return value, low, high


def surroundings(to_train: Nearest, to_held_out: Nearest, train: int, held_out: int) -> Surroundings:
    """The nearest of both sets.

    Args:
        to_train: the nearest training images of each query, at least `AROUND`.
        to_held_out: the nearest held-out images, at least as many, the query itself left out.
        train: size of the training set.
        held_out: size of the held-out set.
    """
    distances = torch.cat([to_train.distances, to_held_out.distances], 1)
    places = torch.cat([to_train.places, to_held_out.places + train], 1)
    found = distances.sort(dim=1, stable=True)
    first, last = found.values[:, 0], found.values[:, AROUND - 1]
    ratios = torch.where(last > 0, first / last.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    return Surroundings(first, ratios, places.gather(1, found.indices[:, :1])[:, 0], train, held_out)


def threshold(ratios: Tensor, rate: float) -> float | None:
    """A ratio that so many of these (N,) do not exceed; None where they are too few to say."""
    place = math.floor(rate * len(ratios))
    return float(ratios.sort().values[place - 1]) if place >= 1 else None


# --- statistics of others, as companions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class DataCopying:
    """C_T and how far it strays by chance.

    Args:
        value: far below 0 where generated images are nearer to training images than held-out ones are.
        deviation: its standard deviation where they are alike.
        cells: that were looked at.
    """

    value: float
    deviation: float
    cells: int


def project(train: Tensor, *others: Tensor, width: int = 64, most: int = 10_000) -> list[Tensor]:
    """Features (N, width) on the training images' first principal components; unchanged if they are no wider.

    Args:
        train: the components are found on the first `most` of these.
        others: projected alike.
        width: components.
        most: images.
    """
    from sklearn.decomposition import PCA

    if train.shape[1] <= width:
        return [train, *others]
    components = PCA(min(width, len(train)), svd_solver="randomized", random_state=0).fit(train[:most].numpy())
    return [torch.from_numpy(components.transform(features.numpy())) for features in (train, *others)]


def data_copying(train: Tensor, held_out: Tensor, generated: Tensor, cells: int, seed: int) -> DataCopying:
    """C_T of Meehan et al. 2020 (arXiv:2004.05675): are generated images nearer to training images than new ones are?

    In each cell of a k-means partition of the training images, the distances of generated and of held-out images to the
    nearest training image of the cell are compared by the z-score of Mann and Whitney; C_T is their mean, weighted by
    held-out images, over cells with at least 20 generated ones. A mean tendency: a few copies do not move it, and
    blurred images, near to everything, do.

    Args:
        train: features (N, width), as the others.
        held_out: of new images.
        generated: of those in question.
        cells: of the partition.
        seed: of k-means.
    """
    from sklearn.cluster import KMeans

    some = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:5_000]]
    means = KMeans(cells, n_init=3, random_state=seed % 2**31).fit(some.numpy().astype(np.float64))
    t, p, q = (torch.from_numpy(means.predict(x.numpy().astype(np.float64))) for x in (train, held_out, generated))
    total = weight = squares = 0.0
    used = 0
    for cell in range(cells):
        known, new, made = train[t == cell], held_out[p == cell], generated[q == cell]
        if len(made) < 20 or not len(new) or not len(known):
            continue
        a, b = nearest(made, known).distances[:, 0], nearest(new, known).distances[:, 0]
        n, m = len(b), len(a)
        u = float(stats.mannwhitneyu(a.numpy(), b.numpy()).statistic)
        z = (u - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12)
        total, weight, squares, used = total + n * z, weight + n, squares + n * n, used + 1
    if not used:
        return DataCopying(math.nan, math.nan, 0)
    return DataCopying(total / weight, math.sqrt(squares) / weight, used)


def authentic(queries: Nearest, train: Tensor) -> Tensor:
    """Whether each query is farther from its nearest training image than that one's nearest other is (N,).

    Alaa et al. 2022 (arXiv:2102.08921). For new images the share lies anywhere between a third and a half, by the
    dimension of the data: hold it against held-out ones.

    Args:
        queries: their nearest training images.
        train: features (M, width).
    """
    different, back = torch.unique(queries.places[:, 0], return_inverse=True)
    others = nearest(train[different], train, 2).distances[:, 1]
    return others[back] < queries.distances[:, 0]


def difference(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """Of two means, with its interval."""
    value = float(x.double().mean() - y.double().mean())
    error = math.sqrt(float(x.double().var()) / len(x) + float(y.double().var()) / len(y))
    return value, value - Z95 * error, value + Z95 * error
