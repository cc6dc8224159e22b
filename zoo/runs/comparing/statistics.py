"""Statistics over training seeds: mean, standard deviation and interval of one group, and the difference of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and spread of a number over training seeds.

    Args:
        n: number of seeds.
        mean: mean of the values.
        deviation: standard deviation over seeds (n - 1 in the denominator); None for one seed.
        low: lower end of the 95 % t interval of the mean; None for one seed.
        high: upper end of the 95 % t interval of the mean; None for one seed.
    """

    n: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean, standard deviation and 95 % t interval of the mean of one number of several runs.

    Example:
        >>> spread_of([1.0, 2.0, 3.0]).deviation
        1.0
        >>> spread_of([7.0])
        Spread(n=1, mean=7.0, deviation=None, low=None, high=None)
    """
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Spread(n, mean)
    from scipy.stats import t  # takes a second to import

    deviation = float(np.std(values, ddof=1))
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * deviation / n**0.5
    return Spread(n, mean, deviation, mean - half, mean + half)


def welch_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of `second` less the mean of `first`, of unequal variances (Welch 1947).

    Returns:
        Its ends; None if one of them has a single value. Without any spread both ends are the difference.
    """
    if min(len(first), len(second)) < 2:
        return None
    from scipy.stats import t

    difference = float(np.mean(second)) - float(np.mean(first))
    errors = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    if not sum(errors):
        return difference, difference
    freedom = sum(errors) ** 2 / sum(e**2 / (len(v) - 1) for e, v in zip(errors, (first, second)))
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * sum(errors) ** 0.5
    return difference - half, difference + half
