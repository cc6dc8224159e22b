"""Mixture of isotropic Gaussians with given centres, whose variances are fitted by maximum likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.metrics.pairwise_distances import Cloud, squared_distances, tiles

EPOCHS, LEARNING_RATE, BATCH = 50, 0.5, 10_000
ORIGIN_SCALE = 0.9  # factor on the distances to the component at the origin
STILL = 5e-4  # the fit ends when the mean loss of the last five epochs differs by less
LARGEST_LOG = 40.0  # log-variances stay within this, also for copies, whose best variance is 0


def standardised(by: Tensor, *sides: Tensor) -> list[Tensor]:
    """Subtract the mean of `by` and divide by its deviation, in the dimensions in which it varies.

    Raises:
        ValueError: if it varies in none.
    """
    mean, deviation = by.mean(0), by.std(0)
    varies = deviation > 1e-6 * deviation.max()
    if not varies.any():
        raise ValueError("FLD: all held-out samples have the same features")
    return [((side - mean) / deviation)[:, varies].float() for side in sides]


def squared_distances_of_all(x: Tensor, centres: Tensor) -> Tensor:
    """Compute squared distances (N, M) between features (N, D) and (M, D) in float32; exactly 0 for copies."""
    a, b = Cloud.of(x, centres)
    result = x.new_empty(len(a), len(b), dtype=torch.float32)
    for rows in tiles(len(a)):
        result[rows] = _tile(a, rows, b)
    return result


def _tile(a: Cloud, rows: slice, b: Cloud) -> Tensor:
    """Return squared distances (n, M) of some rows; those below the rounding error are 0."""
    squares = squared_distances(a, rows, b, slice(0, len(b)))
    error = a.error(rows, torch.zeros(1, device=squares.device))[:, None]
    return squares.masked_fill_(squares <= error, 0).div_(a.scale**2)


def fitted_log_variances(squares: Tensor, known: Tensor) -> Tensor:
    """Fit log-variances (M,) that maximise the likelihood of known samples, by Adam as in the code of FLD.

    While it is fitted, the mixture has a further component on the mean of the known samples, so that none of them is
    impossible. It ends by the rule of the authors' code (marcojira/fld, ffbbf20): losses are compared absolutely, that
    of an epoch with those of the four before it. Gradients are written out, because a graph over (N, M) would need
    several times the memory.

    Args:
        squares: squared distances (N, M) of the known samples to the centres.
        known: features (N, D) of the known samples.
    """
    width, count = known.shape[1], squares.shape[1]
    log_variances = ((squares.min(0).values + 1e-3) / width).log()
    origin = torch.zeros(1, device=squares.device)
    to_origin = (known - known.mean(0)).square().sum(1, keepdim=True) * ORIGIN_SCALE**2
    for value in (log_variances, origin):
        value.grad = torch.zeros_like(value)
    optimizer = torch.optim.Adam([log_variances, origin], LEARNING_RATE)
    losses: list[float] = []
    for epoch in range(EPOCHS):
        means = []
        for first in range(0, len(squares), BATCH):
            batch = slice(first, min(first + BATCH, len(squares)))
            means.append(_descend(squares[batch], to_origin[batch], log_variances, origin, width, math.log(count)))
            optimizer.step()
            log_variances.clamp_(-LARGEST_LOG, LARGEST_LOG)
        losses.append(float(torch.stack(means).mean()))
        if epoch > 5 and max(abs(losses[-1] - earlier) for earlier in losses[-5:]) < STILL:
            break
    return log_variances.detach()


def _descend(
    squares: Tensor, to_origin: Tensor, log_variances: Tensor, origin: Tensor, width: int, log_count: float
) -> Tensor:
    """Write the gradients of the loss into both parameters, and return the loss, per dimension.

    With the posterior r_ij of component j for sample i, the gradient of -log p(x_i) with respect to the log-variance
    s_j is r_ij (D / 2 - |x_i - c_j|^2 / (2 exp s_j)).
    """
    gradient, gradient_origin = (torch.zeros_like(value, dtype=torch.float64) for value in (log_variances, origin))
    total = torch.zeros((), dtype=torch.float64, device=squares.device)
    precision = (-log_variances).exp()
    for rows in tiles(len(squares)):
        scaled = squares[rows] * precision
        own = scaled.mul(-0.5).sub_(width / 2 * (log_variances + math.log(2 * math.pi)) + log_count)
        scaled_origin = to_origin[rows] * (-origin).exp()
        far = -0.5 * scaled_origin - width / 2 * (origin + math.log(2 * math.pi))
        top = torch.maximum(own.amax(1, keepdim=True), far)
        weight = own.sub_(top).exp_()
        weight_origin = (far - top).exp()
        mass = weight.sum(1, keepdim=True) + weight_origin
        total += (top + mass.log()).sum(dtype=torch.float64)
        weight, weight_origin = weight.div_(mass), weight_origin / mass
        gradient += weight.mul_(scaled.neg_().add_(width)).sum(0, dtype=torch.float64) / 2
        gradient_origin += (weight_origin * (width - scaled_origin) / 2).sum()
    for parameter, value in ((log_variances, gradient), (origin, gradient_origin)):
        assert parameter.grad is not None
        parameter.grad.copy_(value / (len(squares) * width))
    return -total / (len(squares) * width)


def log_likelihoods(samples: Tensor, centres: Tensor, log_variances: Tensor) -> Tensor:
    """Compute log-likelihoods (N,) of samples under the mixture, per dimension.

    Args:
        samples: features (N, D).
        centres: centres (M, D).
        log_variances: log-variances (M,).
    """
    width = centres.shape[1]
    a, b = Cloud.of(samples, centres)
    parts = [log_likelihoods_of_squares(_tile(a, rows, b), log_variances, width) for rows in tiles(len(a))]
    return torch.cat(parts)


def log_likelihoods_of_squares(squares: Tensor, log_variances: Tensor, width: int) -> Tensor:
    """Compute log-likelihoods (N,) from squared distances (N, M) to the centres, per dimension.

    Args:
        squares: squared distances (N, M).
        log_variances: log-variances (M,).
        width: number of dimensions.
    """
    constant = width / 2 * (log_variances + math.log(2 * math.pi)) + math.log(len(log_variances))
    likelihoods: Tensor = torch.logsumexp(squares * (-0.5 * (-log_variances).exp()) - constant, 1) / width
    return likelihoods
