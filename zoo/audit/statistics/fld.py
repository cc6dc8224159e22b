"""The mixture of Gaussians behind the feature likelihood divergence, and its generalisation gap."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.audit.statistics.memory import difference
from zoo.metrics.pairwise_distances import Cloud, squared_distances

EPOCHS, RATE = 50, 0.5
PULL = 0.9  # of the component at the origin: its distances count as so much of what they are


class Gap(NamedTuple):
    """100 (negative log-likelihood of training images - that of held-out ones), with its interval."""

    value: float
    low: float
    high: float


def generalisation_gap(generated: Tensor, train: Tensor, held_out: Tensor) -> Gap:
    """Does a density made of generated images fit training images better than new ones? Far below 0 if so.

    Jiralerspong et al. 2023 (arXiv:2302.04440), the generalisation gap of FLD, with their constants: an isotropic
    Gaussian on each generated image, its variance fitted to the training images, so that copies become narrow spikes.

    Args:
        generated: features (M, width), the centres.
        train: features (N, width), that the variances are fitted to.
        held_out: features (N', width).
    """
    mean, deviation = held_out.mean(0), held_out.std(0)
    varies = deviation > 1e-6 * deviation.max()
    made, known, new = (((x - mean) / deviation)[:, varies] for x in (generated, train, held_out))
    width = made.shape[1]
    to_known, to_new = _squares(known, made), _squares(new, made)
    variances = _fitted(to_known, known, width)
    fits = [_log_likelihood(d, variances, width) for d in (to_known, to_new)]
    value, low, high = difference(-fits[0], -fits[1])
    return Gap(100 * value, 100 * low, 100 * high)


def _fitted(squares: Tensor, known: Tensor, width: int) -> Tensor:
    """Log-variances (M,) under which the training images are likeliest; Adam, as in the paper's code."""
    start = ((squares.min(0).values + 1e-3) / width).log()
    centre = (known - known.mean(0)).square().sum(1, keepdim=True) * PULL**2
    with torch.enable_grad():
        variances = start.clone().requires_grad_(True)
        origin = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.Adam([variances, origin], RATE)
        losses: list[float] = []
        for epoch in range(EPOCHS):
            own = _terms(squares, variances, width)
            far = _terms(centre, origin, width) + math.log(squares.shape[1])  # of weight 1, the others share one
            loss = -torch.logsumexp(torch.cat([own, far], 1), 1).mean() / width
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                variances.clamp_(-40, 40)
            losses.append(float(loss.detach()))
            if epoch > 5 and abs(losses[-6] - losses[-1]) < 5e-4 * abs(losses[-1]):
                break
    return variances.detach()


def _log_likelihood(squares: Tensor, variances: Tensor, width: int) -> Tensor:
    """Of each row, for each dimension, but for a constant (N,)."""
    return (torch.logsumexp(_terms(squares, variances, width), 1) - math.log(squares.shape[1])) / width


def _terms(squares: Tensor, variances: Tensor, width: int) -> Tensor:
    return -0.5 * (squares * (-variances).exp() + width * variances)


def _squares(x: Tensor, centres: Tensor) -> Tensor:
    """Squared distances (N, M), 0 for copies."""
    a, b = Cloud.of(x, centres)
    found = squared_distances(a, slice(0, len(a)), b, slice(0, len(b))).double()
    found[found <= a.error(slice(0, len(a)), torch.zeros(len(a), dtype=torch.float64))[:, None]] = 0
    return (found / a.scale**2).clamp(min=0).float()
