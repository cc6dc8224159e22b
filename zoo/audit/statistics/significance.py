"""Hypothesis tests and intervals that several questions share.

The percentile bootstrap is not `scipy.stats.bootstrap`, because that draws with NumPy: other intervals for the same
seed. Wilson's interval is that of `zoo.metrics`, which does not wait for scipy and agrees with `binomtest(...)
.proportion_ci("wilson")` up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

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
    "bootstrap_median",
    "fisher_exact",
    "holm",
    "mann_whitney",
    "mean_difference",
    "poisson_interval",
    "poisson_range",
    "random_halves",
    "wilson",
    "wilson_percent",
]

ALARM = 1e-3
"""Significance level of an alarm, for p-values corrected within a finding. An audit has about ten questions, so about
one audit in a hundred of honest data raises an alarm."""


def poisson_interval(count: float, level: float = 0.95) -> tuple[float, float]:
    """Compute the exact interval of the mean of a Poisson count (Garwood 1936, Biometrika 28).

    The ends are chi2(tail; 2 count) / 2 and chi2(1 - tail; 2 (count + 1)) / 2 with tail = (1 - level) / 2.

    Args:
        count: observed count, at least 0; need not be an integer.
        level: confidence level in (0, 1).

    Returns:
        Lower and upper end.
    """
    tail = (1 - level) / 2
    low = 0.0 if count <= 0 else float(stats.chi2.ppf(tail, 2 * count) / 2)
    return low, float(stats.chi2.ppf(1 - tail, 2 * (count + 1)) / 2)


def poisson_range(mean: float, level: float = 0.95) -> tuple[float, float]:
    """Return the central range that holds a Poisson count with at least a given probability.

    Args:
        mean: mean of the count.
        level: probability in (0, 1).

    Returns:
        Lower and upper end.
    """
    low, high = stats.poisson.interval(level, mean)
    return float(low), float(high)


def fisher_exact(hits: int, n: int, null_hits: int, null_n: int, alternative: str = "greater") -> float:
    """Compute the p-value of Fisher's exact test that two shares are equal.

    Args:
        hits: images counted in the first share, out of `n`.
        n: size of the first sample.
        null_hits: images counted in the second share, out of `null_n`.
        null_n: size of the second sample.
        alternative: the first share is `greater`, `less`, or either (`two-sided`).

    Returns:
        The p-value.
    """
    table = [[hits, n - hits], [null_hits, null_n - null_hits]]
    return float(stats.fisher_exact(table, alternative=alternative).pvalue)


def holm(p: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values for their number by the step-down procedure of Holm (1979, Scand. J. Statist. 6).

    The i-th smallest of K p-values is multiplied by K - i + 1; the results are made monotone and capped at 1.

    Args:
        p: p-values (K,).

    Returns:
        Corrected p-values (K,) in the order of `p`.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    steps = values[order] * (len(values) - np.arange(len(values)))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def auc(above: Tensor, below: Tensor) -> tuple[float, float, float]:
    """Compute the area under the ROC curve, P(above > below) + P(above = below) / 2, with its 95 % interval.

    The interval is that of DeLong et al. (1988, Biometrics 44), computed from ranks. Where its variance is 0, at an AUC
    of 0 or 1, Wilson's interval for the smaller sample replaces it.

    Args:
        above: values (N,) expected to be larger.
        below: values (M,) expected to be smaller.

    Returns:
        The AUC in [0, 1], and the lower and upper end of its interval.
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


def mann_whitney(x: Tensor, y: Tensor, alternative: str = "two-sided") -> float:
    """Compute the p-value of the Mann-Whitney U test that neither sample tends to larger values.

    Args:
        x: first sample (N,).
        y: second sample (M,).
        alternative: values of `x` are `greater`, `less`, or either (`two-sided`).

    Returns:
        The p-value.
    """
    return float(stats.mannwhitneyu(x.double().numpy(), y.double().numpy(), alternative=alternative).pvalue)


def wilson_percent(hits: int, n: int) -> tuple[float, float, float]:
    """Return a share in percent with Wilson's 95 % interval (1927, JASA 22).

    Args:
        hits: images counted, out of `n`.
        n: number of images.

    Returns:
        The share, and the lower and upper end of its interval, in [0, 100].
    """
    low, high = wilson(hits, n)
    return 100 * hits / n, 100 * low, 100 * high


def bootstrap_median(values: Tensor, repeats: int, seed: int) -> tuple[float, float]:
    """Compute the 95 % percentile interval of the median by resampling with replacement (Efron 1979, Ann. Stat. 7).

    Args:
        values: sample (N,); of two middle values the median is the lower one.
        repeats: number of resamples.
        seed: seed of the resamples.

    Returns:
        Lower and upper end.
    """
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(len(values), (repeats, len(values)), generator=generator)
    medians = values[indices].median(1).values
    low, high = torch.quantile(medians.double(), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def random_halves(n: int, repeats: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw disjoint random halves of the indices below n, again and again.

    The standard deviation over halves of a statistic of one half estimates its standard error at the full size: half
    the images double the variance, and the overlap between halves of the same set halves it again.

    Args:
        n: number of images.
        repeats: number of pairs of halves.
        seed: seed of the draws.

    Yields:
        Indices (n // 2,) of both halves.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(repeats):
        order = torch.randperm(n, generator=generator)
        yield order[: n // 2], order[n // 2 : n // 2 * 2]


def mean_difference(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """Compute the difference of two means with its 95 % interval by the normal approximation (Welch).

    Args:
        x: first sample (N,).
        y: second sample (M,).

    Returns:
        mean(x) - mean(y), and the lower and upper end of its interval.
    """
    value = float(x.double().mean() - y.double().mean())
    error = math.sqrt(float(x.double().var()) / len(x) + float(y.double().var()) / len(y))
    return value, value - Z95 * error, value + Z95 * error
