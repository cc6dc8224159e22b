"""Power of tests at an equal rate of false alarms: the share of planted sets that are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.audit.benchmark.bank import Half
from zoo.io.progress import step

FALSE_ALARMS = 0.01

Row = dict[str, Any]


@dataclass(frozen=True)
class Test:
    """A test: a function of a set of images, given as rows (n,), to a number that is higher the more looks wrong.

    Args:
        statistic: the function.
        fixed: the threshold that the test's authors give; None for the value that 1 % of the honest sets exceed.
        sets: sets of a kind that it is computed for, at most; None for all.
    """

    __test__ = False  # no test of the suite

    statistic: Callable[[Tensor], float]
    fixed: float | None = None
    sets: int | None = None

    def __call__(self, rows: Tensor) -> float:
        """Return the number of a set."""
        return self.statistic(rows)


Tests = Callable[[Half], Mapping[str, Test]]
"""Function of a reference to all tests by name."""


@dataclass(frozen=True)
class Design:
    """Sizes of a benchmark.

    Args:
        n: images in a set.
        shares: shares of copies.
        seeds: number of seeds; each has its own reference and its own honest and planted sets.
        honest: honest sets of each seed, from which the threshold is taken; as many again check it.
        planted: planted sets of each seed, kind and share.
    """

    n: int
    shares: Sequence[float]
    seeds: int
    honest: int
    planted: int


def halves(held_out: int, seeds: int, what: str = "benchmark") -> Iterator[tuple[Half, Tensor, torch.Generator]]:
    """Split the held-out images at random for each seed: into the reference, and the rows that sets are drawn from.

    Args:
        held_out: number of held-out images M.
        seeds: number of seeds.
        what: name of what is measured, for the progress that is shown.

    Yields:
        The reference, the other rows, and the generator of what else is random.
    """
    with step(f"{what}, seeds", seeds) as advance:
        for seed in range(seeds):
            rng = torch.Generator().manual_seed(seed)
            order = torch.randperm(held_out, generator=rng)
            half = Half(order[: held_out // 2], torch.zeros(held_out, dtype=torch.bool))
            half.mask[half.rows] = True
            yield half, order[held_out // 2 :], rng
            advance(1)


def draw(pool: Tensor, copies: Tensor | None, share: float, n: int, rng: torch.Generator) -> Tensor:
    """Draw the rows (n,) of a set: some copies, and others of the pool."""
    planted = 0 if copies is None else max(1, round(share * n))
    honest = pool[torch.randperm(len(pool), generator=rng)[: n - planted]]
    if copies is None:
        return honest
    return torch.cat([honest, copies[torch.randperm(len(copies), generator=rng)[:planted]]])


def power(tests: Tests, copies: dict[str, Tensor], held_out: int, design: Design) -> list[Row]:
    """Measure every test on every kind of copies.

    For each seed, one half of the held-out images is the reference, and sets of n images are drawn from the other,
    without replacement: honest ones, and planted ones in which a share is replaced by copies, each of another training
    image. The threshold of a test is exceeded by 1 % of the honest sets; ties count as not found.

    Args:
        tests: the tests for a reference.
        copies: rows (K,) of the copies in the views, by kind.
        held_out: number of held-out images M, the first rows of the views.
        design: the sizes.

    Returns:
        A row for each test, kind and share: `test`, `kind`, `share`, and `found`, a share for each seed; those of
        honest sets have the kind `honest`.
    """
    found: dict[tuple[str, str, float], list[float]] = {}
    for half, pool, rng in halves(held_out, design.seeds, "tests for copies"):
        cases = {("honest", 0.0): [draw(pool, None, 0.0, design.n, rng) for _ in range(design.honest)]}
        for kind, rows in copies.items():
            for share in design.shares:
                cases[kind, share] = [draw(pool, rows, share, design.n, rng) for _ in range(design.planted)]
        calibration = [draw(pool, None, 0.0, design.n, rng) for _ in range(design.honest)]
        for name, test in tests(half).items():
            bound = test.fixed
            if bound is None:
                bound = threshold([test(rows) for rows in calibration[: test.sets]])
            for (kind, share), sets in cases.items():
                exceeded = [test(rows) > bound for rows in sets[: test.sets]]
                found.setdefault((name, kind, share), []).append(float(np.mean(exceeded)))
    return [
        {"test": test, "kind": kind, "share": share, "found": values} for (test, kind, share), values in found.items()
    ]


def threshold(values: Sequence[float]) -> float:
    """Return the value that 1 % of the honest sets exceed."""
    return float(np.quantile(values, 1 - FALSE_ALARMS, method="higher"))


def interval(values: Sequence[float], repeats: int = 2000) -> tuple[float, float, float]:
    """Return the mean over seeds with its 95 % bootstrap interval."""
    rows = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(len(rows), size=(repeats, len(rows)))
    low, high = np.quantile(rows[draws].mean(1), (0.025, 0.975))
    return float(rows.mean()), float(low), float(high)
