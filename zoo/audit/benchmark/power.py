"""Power of tests at an equal rate of false alarms: the share of planted sets that are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.audit.benchmark.bank import Views
from zoo.audit.benchmark.detectors import Half, detectors

FALSE_ALARMS = 0.01


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


def power(
    views: Views, equal: Tensor, copies: dict[str, Tensor], held_out: int, design: Design
) -> list[dict[str, Any]]:
    """Measure every test on every kind of copies.

    For each seed, one half of the held-out images is the reference, and sets of n images are drawn from the other,
    without replacement: honest ones, and planted ones in which a share is replaced by copies, each of another training
    image. The threshold of a test is exceeded by 1 % of the honest sets; ties count as not found.

    Args:
        views: views by name of the space.
        equal: whether each image of the views equals a training image or its mirror image (B,).
        copies: rows (K,) of the copies in the views, by kind.
        held_out: number of held-out images M, the first rows of the views.
        design: the sizes.

    Returns:
        A row for each test, kind and share: `test`, `kind`, `share`, and `found`, a share for each seed; those of
        honest sets have the kind `honest`.
    """
    found: dict[tuple[str, str, float], list[float]] = {}
    for seed in range(design.seeds):
        rng = torch.Generator().manual_seed(seed)
        order = torch.randperm(held_out, generator=rng)
        half = Half(order[: held_out // 2], torch.zeros(held_out, dtype=torch.bool))
        half.mask[half.rows] = True
        pool = order[held_out // 2 :]
        cases = {("honest", 0.0): [_set(pool, None, 0.0, design.n, rng) for _ in range(design.honest)]}
        for kind, rows in copies.items():
            for share in design.shares:
                cases[kind, share] = [_set(pool, rows, share, design.n, rng) for _ in range(design.planted)]
        calibration = [_set(pool, None, 0.0, design.n, rng) for _ in range(design.honest)]
        for test, statistic in detectors(views, half, equal).items():
            threshold = float(np.quantile([statistic(rows) for rows in calibration], 1 - FALSE_ALARMS, method="higher"))
            for (kind, share), sets in cases.items():
                exceeded = [statistic(rows) > threshold for rows in sets]
                found.setdefault((test, kind, share), []).append(float(np.mean(exceeded)))
    return [
        {"test": test, "kind": kind, "share": share, "found": values} for (test, kind, share), values in found.items()
    ]


def _set(pool: Tensor, copies: Tensor | None, share: float, n: int, rng: torch.Generator) -> Tensor:
    """Draw the rows (n,) of a set: some copies, and others of the pool."""
    planted = 0 if copies is None else max(1, round(share * n))
    honest = pool[torch.randperm(len(pool), generator=rng)[: n - planted]]
    if copies is None:
        return honest
    return torch.cat([honest, copies[torch.randperm(len(copies), generator=rng)[:planted]]])


def interval(values: Sequence[float], repeats: int = 2000) -> tuple[float, float, float]:
    """Return the mean over seeds with its 95 % bootstrap interval."""
    rows = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(len(rows), size=(repeats, len(rows)))
    low, high = np.quantile(rows[draws].mean(1), (0.025, 0.975))
    return float(rows.mean()), float(low), float(high)
