"""Tests and intervals that several questions use. All thresholds of alarms are set by these and written down."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from zoo.metrics.intervals import Z95, wilson

__all__ = [
    "ALARM",
    "Z95",
    "auc",
    "bootstrap",
    "holm",
    "mann_whitney",
    "poisson_interval",
    "poisson_range",
    "random_halves",
    "shares_differ",
    "wilson",
]

ALARM = 1e-3
"""Largest p-value of an alarm, after correction within its finding; an audit asks about ten questions, so honest data
ring in about one audit of a hundred."""


def poisson_interval(count: float, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of the mean of a Poisson count (Garwood 1936)."""
    tail = (1 - level) / 2
    low = 0.0 if count <= 0 else float(stats.chi2.ppf(tail, 2 * count) / 2)
    return low, float(stats.chi2.ppf(1 - tail, 2 * (count + 1)) / 2)


def poisson_range(mean: float, level: float = 0.95) -> tuple[float, float]:
    """Between which a Poisson count of this mean lies with at least this chance."""
    low, high = stats.poisson.interval(level, mean)
    return float(low), float(high)


def shares_differ(hits: int, n: int, hits_null: int, n_null: int, side: str = "greater") -> float:
    """P-value that two shares are equal against the first being `greater`, `less` or either (`two-sided`): Fisher's
    exact test.
    """
    table = [[hits, n - hits], [hits_null, n_null - hits_null]]
    return float(stats.fisher_exact(table, alternative=side).pvalue)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values corrected for their number (Holm 1979), in their order."""
    order = np.argsort(p)
    steps = p[order] * (len(p) - np.arange(len(p)))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def auc(above: Tensor, below: Tensor) -> tuple[float, float, float]:
    """Chance that a value of `above` (N,) exceeds one of `below` (M,), ties half, with its 95 % interval.

    The interval is DeLong's (1988), computed from ranks; at the edges, where its variance vanishes, Wilson's bound for
    the smaller side stands in.
    """
    x, y = above.double().flatten().numpy(), below.double().flatten().numpy()
    n, m = len(x), len(y)
    ranks = stats.rankdata(np.concatenate([x, y]))
    v_x = (ranks[:n] - stats.rankdata(x)) / m
    v_y = 1 - (ranks[n:] - stats.rankdata(y)) / n
    value = float(v_x.mean())
    if min(n, m) < 2 or v_x.var() + v_y.var() == 0:
        low, high = wilson(round(value * min(n, m)), min(n, m))
        return value, min(low, value), max(high, value)
    error = math.sqrt(v_x.var(ddof=1) / n + v_y.var(ddof=1) / m)
    return value, max(0.0, value - Z95 * error), min(1.0, value + Z95 * error)


def mann_whitney(x: Tensor, y: Tensor, side: str = "two-sided") -> float:
    """P-value that neither of two samples tends to be larger; `side` as in `shares_differ`."""
    return float(stats.mannwhitneyu(x.double().numpy(), y.double().numpy(), alternative=side).pvalue)


def bootstrap(values: Tensor, statistic: str, repeats: int, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the `mean` or `median` of values (N,)."""
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(values), (repeats, len(values)), generator=draw)
    drawn = values[chosen]
    found = drawn.mean(1) if statistic == "mean" else drawn.median(1).values
    low, high = torch.quantile(found.double(), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def random_halves(n: int, repeats: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Disjoint random halves of n places, again and again.

    The deviation over halves of a statistic of one half is its standard error at the full size: half the images double
    the variance, and that halves of one set overlap takes half of it away again.
    """
    draw = torch.Generator().manual_seed(seed)
    for _ in range(repeats):
        order = torch.randperm(n, generator=draw)
        yield order[: n // 2], order[n // 2 : n // 2 * 2]
