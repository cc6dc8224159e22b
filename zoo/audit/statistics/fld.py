"""The generalisation gap of the feature likelihood divergence (FLD), with its interval."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from zoo.audit.statistics.significance import mean_difference
from zoo.metrics.gaussian_mixture import (
    fitted_log_variances,
    log_likelihoods_of_squares,
    squared_distances_of_all,
    standardised,
)


class Gap(NamedTuple):
    """100 x (negative log-likelihood of training images - that of held-out images), per dimension.

    Args:
        value: the gap.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
    """

    value: float
    low: float
    high: float


def generalisation_gap(train: Tensor, held_out: Tensor, generated: Tensor) -> Gap:
    """Compute the generalisation gap of FLD: far below 0 if the generated images copy training images.

    Jiralerspong et al. 2023 (arXiv:2302.04440), with their constants. The density is a mixture of isotropic Gaussians,
    one on each generated image, p(x) = 1/M sum_i N(x; c_i, s_i I). The variances s_i are fitted to the training images,
    so that the Gaussians of copies become narrow. Features are standardised by the held-out images.

    Args:
        train: features (N, D) of training images.
        held_out: features (K, D) of held-out images.
        generated: features (M, D), the centres.

    Returns:
        The gap with its interval.
    """
    known, new, centres = standardised(held_out, train, held_out, generated)
    width = centres.shape[1]
    to_known, to_new = squared_distances_of_all(known, centres), squared_distances_of_all(new, centres)
    log_variances = fitted_log_variances(to_known, known)
    fits = [log_likelihoods_of_squares(squares, log_variances, width) for squares in (to_known, to_new)]
    value, low, high = mean_difference(-fits[0], -fits[1])
    return Gap(100 * value, 100 * low, 100 * high)
