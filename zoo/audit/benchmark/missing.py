"""Faults without copies, a small support and a class that is missing, and the tests that could find them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from zoo.audit.benchmark.power import Design, Row, draw, halves, threshold
from zoo.audit.benchmark.sorting import Sorting
from zoo.audit.questions.support import ALLOWED_PAIRS
from zoo.audit.statistics import shares
from zoo.audit.statistics.birthday import find_duplicates, fit_thresholds
from zoo.audit.statistics.shares import DROPPED
from zoo.metrics.frechet import frechet_distance, mean_and_covariance, moments
from zoo.metrics.kid import polynomial_kernel
from zoo.metrics.pairwise_distances import Cloud, squared_distances, tiles
from zoo.metrics.vendi import vendi_score

SUPPORTS = (100, 1_000, 10_000)
RARE = 0.25  # share of its images that a class keeps when it is drawn too rarely
WIDTH = 64  # principal components behind the Fréchet distance and the Vendi score
RECALL_RANK, COVERAGE_RANK = 3, 5  # neighbours, as in the papers

Draw = Callable[[Tensor, int, torch.Generator], Tensor]
"""Function of the rows of the honest images, a number n and a generator to the rows (n,) of a set."""


@dataclass(frozen=True)
class Gallery:
    """Held-out images as points: what all sets of them share.

    Args:
        spaces: features (M, D) of the M held-out images in each space of the birthday test; the first is that of the
            other tests.
        low: the first WIDTH principal components (M, W) of the first.
        sorting: the kind of each image.
        squares: squared distances (M, M).
        kernel: kernel (M, M) of the kernel distance.
    """

    spaces: tuple[Tensor, ...]
    low: Tensor
    sorting: Sorting
    squares: Tensor
    kernel: Tensor


def gallery(spaces: tuple[Tensor, ...], low: Tensor, sorting: Sorting) -> Gallery:
    """Compute what all sets share; see `Gallery`."""
    features = spaces[0]
    (cloud,) = Cloud.of(features)
    squares = torch.empty(len(features), len(features))
    for rows in tiles(len(features)):
        squares[rows] = squared_distances(cloud, rows, cloud, slice(0, len(features)))
    return Gallery(spaces, low, sorting, squares, polynomial_kernel(features.float(), features.float()))


# --- faults ----------------------------------------------------------------------------------------------------------


def few_images(pool: Tensor, n: int, rng: torch.Generator, support: int) -> Tensor:
    """Draw n rows with repetition from `support` images that are all equally likely.

    However large the support, a set has at most n different images, so that the pool need not be as large.
    """
    _, inverse = torch.unique(torch.randint(support, (n,), generator=rng), return_inverse=True)
    return pool[torch.randperm(len(pool), generator=rng)[: int(inverse.max()) + 1]][inverse]


def lacking(pool: Tensor, n: int, rng: torch.Generator, kinds: Tensor, kept: float) -> Tensor:
    """Draw n rows without repetition; of one kind, chosen at random, only a share is left.

    Args:
        pool: rows of the honest images.
        n: number of rows.
        rng: generator of what is random.
        kinds: kind (M,) of each image.
        kept: share of the images of that kind that is left, below 1.
    """
    own = kinds[pool]
    present = torch.unique(own)
    chosen = own == present[int(torch.randint(len(present), (1,), generator=rng))]
    left = torch.cat([pool[~chosen], pool[chosen][torch.rand(int(chosen.sum()), generator=rng) < kept]])
    return left[torch.randperm(len(left), generator=rng)[:n]]


def faults(sorting: Sorting) -> dict[str, Draw]:
    """Return how the sets of each fault are drawn, by name."""
    noun = sorting.noun
    found: dict[str, Draw] = {f"{k:,} images": partial(few_images, support=k) for k in SUPPORTS}
    found[f"a {noun} missing"] = partial(lacking, kinds=sorting.removed, kept=0.0)
    found[f"a {noun} rare"] = partial(lacking, kinds=sorting.removed, kept=RARE)
    return found


def descriptions(sorting: Sorting) -> dict[str, str]:
    """Describe the faults."""
    noun = sorting.noun
    found = {
        f"{k:,} images": f"drawn with repetition from {k:,} honest images, each repeated exactly" for k in SUPPORTS
    }
    found[f"a {noun} missing"] = f"one {noun} of {sorting.count} is not drawn; {sorting.source}"
    found[f"a {noun} rare"] = f"one {noun} of {sorting.count} is drawn {RARE:.0%} as often as it should"
    return found


# --- tests -----------------------------------------------------------------------------------------------------------


def measure(gallery: Gallery, reference: Tensor, n: int) -> Callable[[Tensor], dict[str, float]]:
    """Return the function from the rows (n,) of a set to the number of each test, higher the more is missing.

    Args:
        gallery: the images.
        reference: rows (R,) of the reference, which no set contains.
        n: images in a set.
    """
    peers = reference[:n]
    facing = gallery.squares[:, peers].contiguous()  # a set's rows of it lie together in memory
    inner = facing[peers]
    radii = inner.topk(COVERAGE_RANK + 1, largest=False).values[:, COVERAGE_RANK]
    mean, covariance = mean_and_covariance(moments(gallery.low[reference]))
    towards = gallery.kernel[:, reference].double().mean(1)
    own = gallery.kernel.diagonal().double()
    duplicates = _duplicates(gallery, reference)

    def numbers(rows: Tensor) -> dict[str, float]:
        among = gallery.squares.index_select(0, rows).index_select(1, rows)
        reach = among.topk(RECALL_RANK + 1, largest=False).values[:, RECALL_RANK]
        apart = facing.index_select(0, rows)
        similar = gallery.kernel.index_select(0, rows).index_select(1, rows)
        within = similar.sum(dtype=torch.float64) - own[rows].sum()
        low = gallery.low[rows]
        return {
            "recall": -float((apart <= reach[:, None]).any(0).double().mean()),
            "coverage": -float((apart.amin(0) < radii).double().mean()),
            f"Fréchet distance, {WIDTH} components": float(
                frechet_distance(mean, covariance, *mean_and_covariance(moments(low)))
            ),
            "KID": float(within / (len(rows) * (len(rows) - 1)) - 2 * towards[rows].mean()),
            f"Vendi score, {WIDTH} components": -float(vendi_score(low)),
            "birthday: pairs of duplicates": duplicates(rows),
            "audit: share of a kind": _rarest(gallery.sorting, reference, rows),
        }

    return numbers


def _duplicates(gallery: Gallery, reference: Tensor) -> Callable[[Tensor], float]:
    """Return the number of pairs of a set that are duplicates by the audit's rule, set on half of the reference."""
    setting = reference[::2]
    thresholds = fit_thresholds([features[setting] for features in gallery.spaces], ALLOWED_PAIRS)
    near = find_duplicates(list(gallery.spaces), thresholds)

    def count(rows: Tensor) -> float:
        drawn = torch.bincount(rows, minlength=len(gallery.low)).double()
        return float((drawn * (drawn - 1)).sum() / 2 + (drawn[near.first] * drawn[near.second]).sum())

    return count


def _rarest(sorting: Sorting, reference: Tensor, rows: Tensor) -> float:
    """Return -log10 of the smallest corrected p-value of the kinds that are drawn less than DROPPED as often."""
    votes = sorting.votes
    compared = None
    if sorting.truth is not None:
        compared = shares.confusion_corrected_shares(votes[rows], votes[reference], sorting.truth[reference])
    if compared is None:
        counts = [torch.bincount(votes[side].argmax(1), minlength=votes.shape[1]) for side in (rows, reference)]
        compared = shares.shares(*counts)
    p = min((share.p for share in compared if share.ratio < DROPPED), default=1.0)
    return -math.log10(max(p, 1e-300))


def power_of_missing(gallery: Gallery, design: Design) -> list[Row]:
    """Measure every test on every fault; honest sets and thresholds are as in `zoo.audit.benchmark.power.power`.

    Args:
        gallery: the images.
        design: the sizes; the shares are not used.

    Returns:
        A row for each test and kind of fault, as those of `power`; the share is 0.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for half, pool, rng in halves(len(gallery.low), design.seeds, "tests for missing images"):
        numbers = measure(gallery, half.rows, design.n)
        calibration = [numbers(draw(pool, None, 0.0, design.n, rng)) for _ in range(design.honest)]
        cases = {"honest": [numbers(draw(pool, None, 0.0, design.n, rng)) for _ in range(design.honest)]}
        for kind, drawn in faults(gallery.sorting).items():
            cases[kind] = [numbers(drawn(pool, design.n, rng)) for _ in range(design.planted)]
        for test in calibration[0]:
            bound = threshold([values[test] for values in calibration])
            for kind, measured in cases.items():
                exceeded = float(np.mean([values[test] > bound for values in measured]))
                found.setdefault((test, kind), []).append(exceeded)
    return [{"test": test, "kind": kind, "share": 0.0, "found": values} for (test, kind), values in found.items()]
