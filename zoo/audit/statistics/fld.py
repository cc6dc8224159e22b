"""The mixture of Gaussians behind the feature likelihood divergence (FLD), and its generalisation gap."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.audit.statistics.significance import mean_difference
from zoo.metrics.pairwise_distances import Cloud, squared_distances

EPOCHS, LEARNING_RATE = 50, 0.5
ORIGIN_SCALE = 0.9  # factor on the distances to the component at the origin


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


def generalisation_gap(generated: Tensor, train: Tensor, held_out: Tensor) -> Gap:
    """Compute the generalisation gap of FLD: far below 0 if the generated images copy training images.

    Jiralerspong et al. 2023 (arXiv:2302.04440), with their constants. The density is a mixture of isotropic Gaussians,
    one on each generated image, p(x) = 1/M sum_i N(x; c_i, s_i I). The variances s_i are fitted to the training images,
    so that the Gaussians of copies become narrow. Features are standardised by the held-out images.

    Args:
        generated: features (M, D), the centres.
        train: features (N, D) of training images.
        held_out: features (K, D) of held-out images.

    Returns:
        The gap with its interval.
    """
    mean, deviation = held_out.mean(0), held_out.std(0)
    varies = deviation > 1e-6 * deviation.max()
    centres, known, new = (((x - mean) / deviation)[:, varies] for x in (generated, train, held_out))
    width = centres.shape[1]
    to_known, to_new = _squared_distances(known, centres), _squared_distances(new, centres)
    log_variances = _fitted_log_variances(to_known, known, width)
    fits = [_log_likelihood(squares, log_variances, width) for squares in (to_known, to_new)]
    value, low, high = mean_difference(-fits[0], -fits[1])
    return Gap(100 * value, 100 * low, 100 * high)


def _fitted_log_variances(squares: Tensor, known: Tensor, width: int) -> Tensor:
    """Fit log-variances (M,) that maximise the likelihood of the training images, by Adam as in the paper's code.

    Args:
        squares: squared distances (N, M) of the training images to the centres.
        known: standardised features (N, D) of the training images.
        width: number of dimensions D.
    """
    start = ((squares.min(0).values + 1e-3) / width).log()
    to_origin = (known - known.mean(0)).square().sum(1, keepdim=True) * ORIGIN_SCALE**2
    with torch.enable_grad():
        log_variances = start.clone().requires_grad_(True)
        origin = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.Adam([log_variances, origin], LEARNING_RATE)
        losses: list[float] = []
        for epoch in range(EPOCHS):
            own = _log_densities(squares, log_variances, width)
            # The component at the origin has weight 1; all others share a weight of 1.
            far = _log_densities(to_origin, origin, width) + math.log(squares.shape[1])
            loss = -torch.logsumexp(torch.cat([own, far], 1), 1).mean() / width
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                log_variances.clamp_(-40, 40)
            losses.append(float(loss.detach()))
            if epoch > 5 and abs(losses[-6] - losses[-1]) < 5e-4 * abs(losses[-1]):
                break
    return log_variances.detach()


def _log_likelihood(squares: Tensor, log_variances: Tensor, width: int) -> Tensor:
    """Return the log-likelihood (N,) of each row of squared distances (N, M), per dimension, up to a constant."""
    return (torch.logsumexp(_log_densities(squares, log_variances, width), 1) - math.log(squares.shape[1])) / width


def _log_densities(squares: Tensor, log_variances: Tensor, width: int) -> Tensor:
    """Return log-densities (N, M) of isotropic Gaussians, up to a constant."""
    return -0.5 * (squares * (-log_variances).exp() + width * log_variances)


def _squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """Return squared distances (N, M) between features (N, D) and (M, D); exactly 0 for copies."""
    a, b = Cloud.of(x, centres)
    squares = squared_distances(a, slice(0, len(a)), b, slice(0, len(b))).double()
    squares[squares <= a.error(slice(0, len(a)), torch.zeros(len(a), dtype=torch.float64))[:, None]] = 0
    return (squares / a.scale**2).clamp(min=0).float()
