"""Statistics over training seeds: mean, standard deviation and interval of one group, and the difference of two."""

from __future__ import annotations

import warnings
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
    if not np.ptp(values):  # scipy warns of equal values
        return Spread(n, mean, 0.0, mean, mean)
    from scipy.stats import ttest_1samp  # takes a second to import

    low, high = ttest_1samp(values, 0).confidence_interval(LEVEL)
    return Spread(n, mean, float(np.std(values, ddof=1)), float(low), float(high))


def welch_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of `second` less the mean of `first`, of unequal variances (Welch 1947).

    Returns:
        Its ends; None if one of them has a single value. Without any spread both ends are the difference.
    """
    if min(len(first), len(second)) < 2:
        return None
    if not np.ptp(first) and not np.ptp(second):  # the degrees of freedom would be 0 / 0
        difference = float(np.mean(second)) - float(np.mean(first))
        return difference, difference
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a group of equal values; the interval is right
        low, high = ttest_ind(second, first, equal_var=False).confidence_interval(LEVEL)
    return float(low), float(high)
