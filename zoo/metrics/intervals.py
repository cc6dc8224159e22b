"""What stands beside a number: its floor on real data, and its interval."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.metrics.accumulate import FeatureMetric, subset

Z95 = 1.959963984540054
Factory = Callable[[], FeatureMetric]


@dataclass(frozen=True)
class Interval:
    """A number with its confidence interval and standard error."""

    value: float
    low: float
    high: float
    error: float


def measure(metric: Factory, real: Tensor, fake: Tensor) -> dict[str, float]:
    """A new metric's numbers on two sets of features."""
    fresh = metric().to(real.device)
    fresh.update(real, real=True)
    fresh.update(fake, real=False)
    return {name: float(value) for name, value in fresh.compute().items()}


def floor(metric: Factory, features: Tensor, n: int, seed: int = 0) -> dict[str, float]:
    """The metric between two disjoint halves of the real data, n samples each: what a perfect generator would get.

    Compare with the number of n real against n generated samples: a Fréchet distance then has the same bias in both.

    Args:
        metric: makes a fresh metric, such as `lambda: FID(2048)`.
        features: (N, width) of real samples, N at least 2 n.
        n: samples in each half.
        seed: of the halves.

    Raises:
        ValueError: if there are fewer than 2 n samples.
    """
    if n < 1 or len(features) < 2 * n:
        raise ValueError(
            f"the floor at n={n:,} needs {2 * n:,} real samples, two disjoint halves; got {len(features):,}. Measure "
            f"at n={len(features) // 2:,} or less, generated samples too, since a floor at another n does not compare"
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(features)))
    return measure(metric, subset(features, order[:n]), subset(features, order[n : 2 * n]))


def bootstrap(
    metric: Factory, real: Tensor, fake: Tensor, repeats: int = 50, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """A confidence interval around each of a metric's numbers, by random halves of the samples.

    The metric is measured again on random halves of both sides. Drawing with replacement, as the usual bootstrap does,
    would mislead here: copies are nearest neighbours at distance 0 and make Fréchet distances larger. Halves drawn
    without replacement have no copies and need no scaling: half the samples double the variance, and that they come out
    of the same finite set halves it again, so the deviation over halves is the standard error at the full size. A
    half's own bias is left out: the interval is the measured value plus and minus the error times the normal quantile.
    Right in the limit for smooth statistics (distances, scores, shares of classes); an approximation for precision,
    recall, density and coverage, whose balls grow when samples are fewer; not meant for `modes` or p-values. A distance
    close to its floor gets too wide an interval, by up to the root of 3, because its linear part vanishes there.

    Args:
        metric: makes a fresh metric.
        real: features (N, width), or classes (N,).
        fake: the same of generated samples.
        repeats: halves to measure; the error itself is known to about 1 / sqrt(2 repeats).
        seed: of the halves.
        level: of confidence.
    """
    if repeats < 2 or not 0 < level < 1:
        raise ValueError(f"repeats must be at least 2 and level between 0 and 1; got {repeats} and {level}")
    draw = np.random.default_rng(seed)
    whole = measure(metric, real, fake)
    found = []
    for _ in range(repeats):
        halves = (
            subset(side, torch.from_numpy(draw.permutation(len(side))[: len(side) // 2])) for side in (real, fake)
        )
        with warnings.catch_warnings():  # a half's bias is not in the interval, so no word about it
            warnings.simplefilter("ignore", UserWarning)
            found.append(measure(metric, *halves))
    quantile = float(torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)))
    result = {}
    for name, value in whole.items():
        error = float(np.std([half[name] for half in found], ddof=1))
        result[name] = Interval(value, value - quantile * error, value + quantile * error, error)
    return result


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); `z` for another level.

    Raises:
        ValueError: for no trials.
    """
    if n < 1:
        raise ValueError("a share of no images has no interval")
    share, square = hits / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return 0.0 if not hits else centre - half, 1.0 if hits == n else centre + half  # rounding would miss the ends
