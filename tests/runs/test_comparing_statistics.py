"""Statistics of the comparison of runs: deviations, intervals, and Welch's interval of a difference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from zoo.runs.comparing.statistics import spread_of, welch_interval


def test_mean_deviation_and_interval_of_one_two_three() -> None:
    """Mean 2, deviation 1, and t of 2 degrees of freedom from the tables: 4.303."""
    spread = spread_of([1.0, 2.0, 3.0])
    assert (spread.n, spread.mean, spread.deviation) == (3, 2.0, 1.0)
    assert spread.high is not None
    assert spread.high - 2 == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert spread.low == pytest.approx(4 - spread.high)


def test_one_seed_has_no_deviation() -> None:
    spread = spread_of([5.0])
    assert (spread.n, spread.mean, spread.deviation, spread.low, spread.high) == (1, 5.0, None, None, None)
    assert welch_interval([5.0], [1.0, 2.0]) is None


def test_the_interval_of_a_difference_is_welchs() -> None:
    first, second = [1.0, 2.0, 4.0], [7.0, 7.5]
    of_first, of_second = (7 / 3) / 3, 0.125 / 2  # variances over sizes
    freedom = (of_first + of_second) ** 2 / (of_first**2 / 2 + of_second**2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(of_first + of_second)
    assert welch_interval(first, second) == pytest.approx((7.25 - 7 / 3 - half, 7.25 - 7 / 3 + half))


def test_without_spread_an_interval_is_a_point(recwarn: pytest.WarningsRecorder) -> None:
    assert spread_of([0.1, 0.1, 0.1]).deviation == 0.0
    assert spread_of([2.0, 2.0]).low == spread_of([2.0, 2.0]).high == 2.0
    assert welch_interval([1.0, 1.0], [3.0, 3.0]) == (2.0, 2.0)
    assert welch_interval([0.1, 0.1, 0.1], [0.3, 0.3]) == pytest.approx((0.2, 0.2))
    low, high = welch_interval([1.0, 1.0], [3.0, 5.0]) or (math.nan, math.nan)
    half = stats.t.ppf(0.975, 1)  # the standard error is 1, of the second group alone
    assert (low, high) == pytest.approx((3 - half, 3 + half))
    assert not recwarn.list


def test_the_t_interval_covers_the_true_mean_in_95_of_100_experiments() -> None:
    draws = np.random.default_rng(0).normal(7.0, 2.0, (2000, 3))
    inside = [
        s.low <= 7.0 <= s.high for s in map(spread_of, draws.tolist()) if s.low is not None and s.high is not None
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
