"""Tests for memorisation, each a number of a set of images that is higher the more it looks like copying."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from zoo.audit.benchmark.bank import AROUND, Half, RegisteredView, View, Views
from zoo.audit.benchmark.power import Test
from zoo.audit.statistics.closest import scan
from zoo.audit.statistics.copies import Closest, calibrate, closest_training_images
from zoo.audit.statistics.memory import RealNeighbours
from zoo.audit.statistics.significance import fisher_exact, holm
from zoo.features import SSCD, SSCDDistilled

CLOSE = 0.01  # share of the held-out images that are as close to a training image as the calibrated distance

SSCD_NAMES = (SSCD.title, SSCDDistilled.title)

Statistic = Callable[[Tensor], float]
"""Function of a set of images, given as rows (n,) of the views, to the number of a test."""
NEAR_PIXELS = 0.15  # root mean square difference of pixels in [0, 1] below which Carlini et al. 2023 call it a copy
NEAR_RATIO = 0.5  # the same for the distance, as a share of the mean distance to the 50 nearest training images
PUBLISHED = "Carlini et al. 2023"
NEAR_SSCD = 0.5  # cosine similarity in SSCD's space above which Somepalli et al. 2023 call it a copy


def detectors(views: Views, half: Half, equal: Tensor) -> dict[str, Test]:
    """Return all tests by name, for one choice of the reference.

    Args:
        views: views by name of the space.
        half: the reference.
        equal: whether each of the B images equals a training image or its mirror image.
    """
    found: dict[str, Statistic] = {}
    fixed: dict[str, Statistic] = {}
    neighbours = {name: view.neighbours(half.mask) for name, view in views.items()}
    for name, view in views.items():
        if isinstance(view, RegisteredView):
            found[f"share listed in copies.csv, {name}"] = _listed(view, half)
            continue
        if name.startswith("mirrored"):
            continue
        nearest = view.to_train.distances[:, 0]
        found[f"mean nearest distance, {name}"] = _mean_of(-nearest)
        found[f"share closer than 99 % of held-out, {name}"] = _share_below(nearest, half)
        found[f"C_T, {name}"] = _c_t(view, half)
        found[f"AuthPct, {name}"] = _mean_of(~view.authentic)
        found[f"MiFID's distance, {name}"] = _mean_of(-view.cosines)
        found[f"exchange test, {name}"] = _exchange(neighbours[name])
        fixed[f"fixed: below {NEAR_RATIO:g} of the mean of the {AROUND} nearest ({PUBLISHED}), {name}"] = _mean_of(
            nearest < NEAR_RATIO * view.around
        )
        if name in SSCD_NAMES:  # of length 1, so that |a - b|^2 = 2 - 2 cos
            fixed[f"fixed: similarity above {NEAR_SSCD:g} (Somepalli et al. 2023), {name}"] = _mean_of(
                nearest < math.sqrt(2 - 2 * NEAR_SSCD)
            )
        if name == "pixels":  # from -1 to 1
            differences = nearest / (2 * math.sqrt(view.width))
            fixed[f"fixed: difference below {NEAR_PIXELS:g} ({PUBLISHED}), {name}"] = _mean_of(
                differences < NEAR_PIXELS
            )
    found["audit: all views"] = _audit(neighbours, half, equal)
    return {
        **{name: Test(statistic) for name, statistic in found.items()},
        **{name: Test(statistic, fixed=0.0) for name, statistic in fixed.items()},
    }


def _mean_of(values: Tensor) -> Statistic:
    return lambda rows: float(values[rows].double().mean())


def _share_below(distances: Tensor, half: Half) -> Statistic:
    """Return the share of images whose distance (B,) all but CLOSE of the reference exceed."""
    return _mean_of(distances <= distances[half.rows].quantile(CLOSE))


def _listed(view: RegisteredView, half: Half) -> Statistic:
    """Return the share of images that `copies.csv` lists: closer to a training image than 99 % of the reference are.

    Images of the reference that are near copies of a training image themselves are set aside, as in the audit.
    """
    closest = closest_training_images(view.found, view.train)
    return _mean_of(closest.ratios < calibrate(_some(closest, half.rows)).threshold)


def _some(closest: Closest, rows: Tensor) -> Closest:
    """Return some of the images."""
    return Closest(*(getattr(closest, field.name)[rows] for field in fields(Closest)))


def _c_t(view: View, half: Half) -> Statistic:
    """Return -C_T of Meehan et al. 2020: the Mann-Whitney z-score of distances in cells, weighted by the reference."""
    places = torch.zeros(len(view.cells), dtype=torch.float64)  # reference distances below each image's, ties half
    counts = torch.zeros(int(view.cells.max()) + 1, dtype=torch.float64)
    for cell in range(len(counts)):
        ordered = view.cell_distances[half.rows[view.cells[half.rows] == cell]].sort().values
        counts[cell] = len(ordered)
        inside = view.cells == cell
        own = view.cell_distances[inside]
        below = torch.searchsorted(ordered, own) + torch.searchsorted(ordered, own, right=True)
        places[inside] = below.double() / 2

    def statistic(rows: Tensor) -> float:
        total = weight = 0.0
        for cell, n in enumerate(counts.tolist()):
            inside = rows[view.cells[rows] == cell]
            m = len(inside)
            if m > 20 and n:
                z = (float(places[inside].sum()) - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12)
                total, weight = total + n * z, weight + n
        return -total / weight if weight else 0.0

    return statistic


def _exchange(neighbours: RealNeighbours) -> Statistic:
    """Return -log10 of the p-value of the audit's exchange test."""
    return lambda rows: _evidence(_of(neighbours, rows).exchange().p)


def _audit(neighbours: dict[str, RealNeighbours], half: Half, equal: Tensor) -> Statistic:
    """Return -log10 of the audit's smallest p-value over all views, corrected for their number (Holm).

    As in the audit's question on copying: equality with a training image; the exchange test of all images, but in
    registered pixels; in each space, that of the closest images.
    """
    twins = int(equal[half.rows].sum())

    def statistic(rows: Tensor) -> float:
        p = [fisher_exact(int(equal[rows].sum()), len(rows), twins, len(half.rows))]
        for name, view in neighbours.items():
            own = _of(view, rows)
            if not name.startswith("registered"):
                p.append(own.exchange().p)
            p.append(scan(own, view.ratios[half.rows]).p)
        return _evidence(float(holm(p).min()))

    return statistic


def _of(neighbours: RealNeighbours, rows: Tensor) -> RealNeighbours:
    return RealNeighbours(neighbours.ratios[rows], neighbours.winners[rows], neighbours.train, neighbours.held_out)


def _evidence(p: float) -> float:
    return -math.log10(max(p, 1e-300))
