"""Reference values of a metric: its floor on real data, and its confidence interval."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from zoo.metrics.accumulate import FeatureMetric, subset

Z95 = 1.959963984540054
Factory = Callable[[], FeatureMetric]
Name = TypeVar("Name")


@dataclass(frozen=True)
class Interval:
    """A number with its confidence interval and standard error.

    Args:
        value: the measured number.
        low: lower end of the confidence interval.
        high: upper end of the confidence interval.
        error: standard error of `value`.

    Example:
        >>> from zoo.metrics import Interval
        >>> interval = Interval(value=1.5, low=1.3, high=1.7, error=0.1)
        >>> interval.low <= interval.value <= interval.high
        True
    """

    value: float
    low: float
    high: float
    error: float


def measure(metric: Factory, real: Tensor, fake: Tensor) -> dict[str, float]:
    """Compute a metric's numbers on two sets of features.

    Args:
        metric: factory of a new metric, such as `lambda: FID(2048)`.
        real: features (N, D), or classes (N,), of real samples.
        fake: features (M, D), or classes (M,), of generated samples.
    """
    fresh = metric().to(real.device)
    fresh.update(real, real=True)
    fresh.update(fake, real=False)
    return plain_numbers(fresh, fresh.compute())


def plain_numbers(metric: FeatureMetric, computed: Any) -> dict[str, float]:
    """Convert what a metric computed to plain numbers by name.

    Raises:
        ValueError: if it computed anything but numbers by name.
    """
    if not isinstance(computed, dict):
        raise ValueError(
            f"{type(metric).__name__}.compute() must return numbers by name, as `named` does; got a "
            f"{type(computed).__name__}"
        )
    return {name: float(value) for name, value in computed.items()}


def floor(metric: Factory, features: Tensor, n: int, seed: int = 0) -> dict[str, float]:
    """Compute a metric's floor: its numbers between two disjoint sets of n real samples each.

    The floor is the number of a perfect generator. Compare it with the metric of n real and n generated samples: a
    Fréchet distance has the same bias in both.

    Args:
        metric: factory of a new metric, such as `lambda: FID(2048)`.
        features: features (N, D), or classes (N,), of real samples, N at least 2 n.
        n: number of samples in each set.
        seed: seed of the sets.

    Raises:
        ValueError: if there are fewer than 2 n samples.

    Example:
        >>> import torch
        >>> from zoo.metrics import FID, floor
        >>> real = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
        >>> 0 < floor(lambda: FID(4), real, n=1000)["fid"] < 0.05
        True
    """
    if n < 1 or len(features) < 2 * n:
        raise ValueError(
            f"the floor at n={n:,} needs {2 * n:,} real samples, two disjoint halves; got {len(features):,}. Measure "
            f"at n={len(features) // 2:,} or less, generated samples too, since a floor at another n is not comparable"
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(features)))
    return measure(metric, subset(features, order[:n]), subset(features, order[n : 2 * n]))


def half_sample_intervals(
    metric: Factory,
    real: Tensor,
    fake: Tensor,
    repeats: int = 50,
    seed: int = 0,
    level: float = 0.95,
    values: dict[str, float] | None = None,
) -> dict[str, Interval]:
    """Compute a confidence interval for each of a metric's numbers, from random halves of the samples.

        interval = value +- z * std over halves of the metric on a half

    where z is the normal quantile of `level`, and a half is a random half of the real and of the generated samples,
    drawn without replacement. This is no bootstrap: a bootstrap draws with replacement, and its copies would be nearest
    neighbours at distance 0 and enlarge Fréchet distances. Halves need no rescaling: half the samples double the
    variance, and sampling from the same finite set halves it again, so the standard deviation over halves is the
    standard error at the full size. The bias of a half does not enter, because only the deviation over halves is used.

    The interval is asymptotically correct for smooth statistics (distances, scores, class shares). It is an
    approximation for precision, recall, density and coverage, whose balls grow as samples get fewer, and not valid for
    `modes` and p-values. For a distance close to its floor it is too wide, by up to sqrt(3), because the linear term of
    the distance vanishes there.

    Args:
        metric: factory of a new metric, such as `lambda: FID(2048)`.
        real: features (N, D), or classes (N,), of real samples.
        fake: features (M, D), or classes (M,), of generated samples.
        repeats: number of halves; the relative error of the standard error is about 1 / sqrt(2 repeats).
        seed: seed of the halves.
        level: confidence level, in (0, 1).
        values: the metric's numbers on all samples, where they are known already.

    Example:
        >>> import torch
        >>> from zoo.metrics import FID, half_sample_intervals
        >>> generator = torch.Generator().manual_seed(0)
        >>> real, fake = torch.randn(2, 500, 2, generator=generator)
        >>> interval = half_sample_intervals(lambda: FID(2), real, fake + 3, repeats=20)["fid"]
        >>> interval.low < 18 < interval.high  # the distance of the two distributions
        True
    """
    if repeats < 2 or not 0 < level < 1:
        raise ValueError(f"repeats must be at least 2 and level between 0 and 1; got {repeats} and {level}")
    values = measure(metric, real, fake) if values is None else values
    return intervals_of(
        lambda some_real, some_fake: measure(metric, some_real, some_fake), real, fake, values, repeats, seed, level
    )


def intervals_of(
    numbers: Callable[[Tensor, Tensor], dict[Name, float]],
    real: Tensor,
    fake: Tensor,
    values: dict[Name, float],
    repeats: int,
    seed: int,
    level: float = 0.95,
) -> dict[Name, Interval]:
    """Compute the intervals of `half_sample_intervals` for the numbers of any function of two sets of features.

    Args:
        numbers: function from real and generated features to numbers by name.
        real: features (N, D), or classes (N,), of real samples.
        fake: features (M, D), or classes (M,), of generated samples.
        values: the numbers on all samples.
        repeats: number of halves, at least 2.
        seed: seed of the halves.
        level: confidence level, in (0, 1).

    Returns:
        Intervals by name; without those of numbers that some half does not have, because it is too small for them.
    """
    rng = np.random.default_rng(seed)
    values_of_halves = []
    for _ in range(repeats):
        halves = [subset(side, torch.from_numpy(rng.permutation(len(side))[: len(side) // 2])) for side in (real, fake)]
        with warnings.catch_warnings():  # the bias of a half does not enter the interval
            warnings.simplefilter("ignore", UserWarning)
            values_of_halves.append(numbers(halves[0], halves[1]))
    quantile = float(torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)))
    result = {}
    for name, value in values.items():
        if all(name in half for half in values_of_halves):
            error = float(np.std([half[name] for half in values_of_halves], ddof=1))
            result[name] = Interval(value, value - quantile * error, value + quantile * error, error)
    return result


def bootstrap(
    metric: Factory, real: Tensor, fake: Tensor, repeats: int = 50, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Return `half_sample_intervals` under its old name, which was wrong: nothing is drawn with replacement.

    Deprecated; removed in 0.3.0.

    Example:
        >>> import torch
        >>> from zoo.metrics import FID, bootstrap, half_sample_intervals
        >>> real, fake = torch.randn(2, 500, 2, generator=torch.Generator().manual_seed(0))
        >>> bootstrap(lambda: FID(2), real, fake) == half_sample_intervals(lambda: FID(2), real, fake)
        True
    """
    warnings.warn(
        "zoo.metrics.bootstrap is renamed zoo.metrics.half_sample_intervals, since it draws random halves without "
        "replacement; the old name is removed in 0.3.0",
        DeprecationWarning,
        stacklevel=2,
    )
    return half_sample_intervals(metric, real, fake, repeats, seed, level)


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Compute the confidence interval of a proportion (Wilson 1927), both ends in [0, 1].

    Args:
        hits: number of successes.
        n: number of trials.
        z: normal quantile of the level; the default gives 95 %.

    Raises:
        ValueError: if there are no trials.

    Example:
        >>> from zoo.metrics.intervals import wilson
        >>> [round(end, 4) for end in wilson(8, 10)]
        [0.4902, 0.9433]
    """
    if n < 1:
        raise ValueError("a share of no images has no interval")
    share, square = hits / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return 0.0 if not hits else centre - half, 1.0 if hits == n else centre + half  # exact where rounding is not
