"""The generalisation gap of FLD for many sets: distances are computed once, and each set is a choice of columns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zoo.audit.benchmark.power import Design
from zoo.audit.questions.published_copying import MIXTURE, SCORED
from zoo.metrics.gaussian_mixture import (
    fitted_log_variances,
    log_likelihoods_of_squares,
    squared_distances_of_all,
    standardised,
)

NAME = f"FLD gap, {MIXTURE} centres"
SETS = 200
"""Sets of each kind and seed that the gap is computed for, at most: each takes a tenth of a second and more."""


def note(design: Design) -> str:
    """Return the note below the table: how the gap is computed, and that it has fewer sets than the other tests."""
    return (
        f"{NAME}: as the audit computes it, with {SCORED:,} training images; of each kind and seed at most "
        f"{min(SETS, design.honest)} sets."
    )


def gap_of_sets(train: Tensor, images: Tensor, reference: Tensor, seed: int) -> Callable[[Tensor], float]:
    """Return the function from the rows of a set to minus the generalisation gap, so that copies raise it.

    As in the audit: of each set MIXTURE images are the centres of the density, which SCORED training images are fitted
    by, and as many of the reference are compared with. Features are standardised by these.

    Args:
        train: features (N, D) of the training images.
        images: features (B, D) of held-out images and copies.
        reference: rows (R,) of the reference.
        seed: seed of the choice of training images.
    """
    new = images[reference]
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:SCORED]
    known, new, centres = standardised(new[:SCORED], train[chosen], new[:SCORED], images)
    width = centres.shape[1]
    to_known, to_new = squared_distances_of_all(known, centres), squared_distances_of_all(new, centres)

    def statistic(rows: Tensor) -> float:
        draw = torch.Generator().manual_seed(seed)
        own = rows[torch.randperm(len(rows), generator=draw)[:MIXTURE]]
        squares = to_known[:, own]
        log_variances = fitted_log_variances(squares, known)
        fits = [
            log_likelihoods_of_squares(part, log_variances, width).double().mean() for part in (squares, to_new[:, own])
        ]
        return 100 * float(fits[0] - fits[1])

    return statistic
