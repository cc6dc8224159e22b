"""Views of images: neighbours, cells and flags of every image in one space, computed once for all sets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.audit.statistics.candidates import Joined, Rows
from zoo.audit.statistics.copies import FAR, Closest
from zoo.audit.statistics.distances import Nearest, nearest
from zoo.audit.statistics.memory import RATIO_RANK, RealNeighbours, authentic, project, real_neighbours
from zoo.audit.statistics.registration import Registered, register
from zoo.io.progress import step

CELLS = 3  # of C_T, as in the authors' experiments on images
AMONG = 10 * RATIO_RANK  # nearest held-out images of each image, of which a seed takes those in its own half
AROUND = 50  # nearest training images whose mean distance a published test compares with


@dataclass(frozen=True)
class Half:
    """One seed's reference: the rows of held-out images that no set contains.

    Args:
        rows: rows (R,) of the reference in the views.
        mask: mask (M,) of the reference among the held-out images.
    """

    rows: Tensor
    mask: Tensor


@dataclass(frozen=True)
class View:
    """What is known of B images in one space, before they are put together to sets.

    Args:
        name: name of the space.
        to_train: the nearest training images of each, `RATIO_RANK` of them.
        to_held_out: the nearest other held-out images of each, up to AMONG.
        authentic: whether each is authentic (B,), see `zoo.audit.statistics.memory.authentic`.
        cosines: cosine distance (B,) of each to the training image of the most similar direction.
        cells: cell (B,) of C_T that each lies in.
        cell_distances: distance (B,) of each to the nearest training image of its cell.
        around: mean distance (B,) to the AROUND nearest training images.
        width: number of dimensions of the space.
        train: number of training images.
    """

    name: str
    to_train: Nearest
    to_held_out: Nearest
    authentic: Tensor
    cosines: Tensor
    cells: Tensor
    cell_distances: Tensor
    around: Tensor
    width: int
    train: int

    def neighbours(self, reference: Tensor) -> RealNeighbours:
        """Return the real neighbours of all B images among the training images and some of the held-out ones.

        Args:
            reference: mask (M,) of the held-out images that are the reference.
        """
        distances = torch.where(reference[self.to_held_out.indices], self.to_held_out.distances, torch.inf)
        order = distances.argsort(dim=1, stable=True)[:, :RATIO_RANK]
        chosen = Nearest(distances.gather(1, order), self.to_held_out.indices.gather(1, order))
        return real_neighbours(self.to_train, chosen, self.train, int(reference.sum()))


@dataclass(frozen=True)
class RegisteredView:
    """B images, each registered to the training and held-out images that it is most like.

    Args:
        found: the registered images, nearest first; none is registered to itself.
        train: number of training images, which are the first of the real images.
    """

    found: Registered
    train: int

    def closest(self, reference: Tensor) -> Closest:
        """Return the real image that each of the B images is nearest to, of training images and some held-out ones.

        Args:
            reference: mask (M,) of the held-out images that are the reference. The others are left out of the images
                that each was registered to, so that some have fewer than six.
        """
        known = torch.cat([torch.ones(self.train, dtype=torch.bool), reference])
        distances = torch.where(known[self.found.indices], self.found.distances, FAR)
        ordered = distances.sort(dim=1, stable=True)
        counts = (ordered.values < FAR).sum(1).clamp(1, RATIO_RANK)
        last = ordered.values.gather(1, counts[:, None] - 1)[:, 0]
        first, place = ordered.values[:, 0], ordered.indices[:, 0]
        rows = torch.arange(len(first))
        return Closest(
            first, first / last.clamp(min=1e-9), self.found.indices[rows, place], self.found.motions[rows, place]
        )

    def neighbours(self, reference: Tensor) -> RealNeighbours:
        """Return the same for the tests of `zoo.audit.statistics.memory`.

        Args:
            reference: mask (M,) of the held-out images that are the reference.
        """
        found = self.closest(reference)
        return RealNeighbours(found.ratios, found.indices, self.train, int(reference.sum()))


Views = Mapping[str, View | RegisteredView]
"""Views of the same images by the name of their space."""


def registered_view(train: Rows, held_out: Rows, copies: Rows, seed: int) -> RegisteredView:
    """Register the held-out images and planted copies, in this order.

    Args:
        train: the training images.
        held_out: the held-out images.
        copies: planted copies.
        seed: seed of the search.
    """
    own = torch.cat([torch.arange(len(held_out)) + len(train), torch.full((len(copies),), -1)])
    total = len(train) + len(held_out)
    with step("images registered, among real ones", total) as advance:
        found = register(Joined((held_out, copies)), Joined((train, held_out)), own, seed, advance)
    return RegisteredView(found, len(train))


def view_of(name: str, train: Tensor, held_out: Tensor, copies: Tensor, seed: int) -> View:
    """Compute a view of the held-out images and of planted copies, in this order.

    Args:
        name: name of the space.
        train: features (N, D) of the training images.
        held_out: features (M, D) of the held-out images.
        copies: features (K, D) of planted copies.
        seed: seed of the cells.
    """
    images = torch.cat([held_out, copies])
    around = nearest(images, train, min(AROUND, len(train)))
    to_train = Nearest(around.distances[:, :RATIO_RANK], around.indices[:, :RATIO_RANK])
    count = min(AMONG, len(held_out) - 1)
    own, others = nearest(held_out, held_out, count, same=True), nearest(copies, held_out, count)
    to_held_out = Nearest(*(torch.cat(pair) for pair in zip(own, others)))
    cells, distances = _cells(train, images, seed)
    return View(
        name,
        to_train,
        to_held_out,
        authentic(to_train, train),
        _cosines(images, train),
        cells,
        distances,
        around.distances.mean(1),
        train.shape[1],
        len(train),
    )


def _cells(train: Tensor, images: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return the cell of each image by k-means of the training images, and its distance to the nearest one there."""
    from sklearn.cluster import KMeans

    known, made = (part.double() for part in project(train, images))
    means = KMeans(CELLS, n_init=3, random_state=seed).fit(known.numpy())
    known_cells, cells = (torch.from_numpy(means.predict(part.numpy()).astype(np.int64)) for part in (known, made))
    distances = torch.full((len(images),), torch.inf, dtype=torch.float64)
    for cell in range(CELLS):
        inside = cells == cell
        if bool(inside.any()):
            distances[inside] = nearest(made[inside], known[known_cells == cell]).distances[:, 0]
    return cells, distances


def _cosines(images: Tensor, train: Tensor, rows: int = 1024) -> Tensor:
    """Return 1 - max |cos| (B,) of the angles between each image and the training images."""
    directions = torch.nn.functional.normalize(train, dim=1)
    parts = [
        (torch.nn.functional.normalize(part, dim=1) @ directions.T).abs().amax(1) for part in torch.split(images, rows)
    ]
    return 1 - torch.cat(parts).double()
