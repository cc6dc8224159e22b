"""The Fréchet distance between Gaussians, and sums from which a Gaussian can be fitted to a stream of features."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def merge_moments(parts: Tensor) -> Tensor:
    """Moments of a union from those of disjoint parts (P, width + 1, width + 1).

    Moments are one matrix [[n, mean], [0, scatter]] with scatter the sum of (x - mean)(x - mean)'. Merging means and
    scatters (Chan, Golub and LeVeque 1979) keeps its digits where sum x x' - n mean mean' loses them: features whose
    mean is large against their deviation.
    """
    counts, means = parts[:, 0, 0], parts[:, 0, 1:]
    n = counts.sum()
    share = counts / n.clamp(min=1)
    mean = share @ means
    apart = means - mean
    merged = torch.zeros_like(parts[0])
    merged[0, 0] = n
    merged[0, 1:] = mean
    merged[1:, 1:] = parts[:, 1:, 1:].sum(0) + (apart * counts[:, None]).T @ apart
    return merged


def moments(features: Tensor) -> Tensor:
    """Moments (width + 1, width + 1) in float64 of features (N, width); see `merge_moments`."""
    features = features.double()
    result = features.new_zeros(features.shape[1] + 1, features.shape[1] + 1)
    if len(features):
        mean = features.mean(0)
        centred = features - mean
        result[0, 0] = len(features)
        result[0, 1:] = mean
        result[1:, 1:] = centred.T @ centred
    return result


def add_batch(total: Tensor, features: Tensor) -> None:
    """Merge a batch (B, width) into moments, in place."""
    features = features.double()
    n, more = total[0, 0].clone(), len(features)
    if not more:
        return
    mean = features.mean(0)
    centred = features - mean
    apart = mean - total[0, 1:]
    # one product for both: the batch's scatter, and that between the two means
    rows = torch.cat([centred, (apart * (n * more / (n + more)).sqrt())[None]])
    total[1:, 1:].addmm_(rows.T, rows)
    total[0, 1:] += apart * (more / (n + more))
    total[0, 0] += more


def mean_and_covariance(total: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (width,) and unbiased covariance (width, width), divisor n - 1, from moments."""
    return total[0, 1:], total[1:, 1:] / (total[0, 0] - 1)


def factor(covariance: Tensor) -> Tensor:
    """A matrix F (width, rank) with F F' = covariance; singular ones too, whose rank is then below the width."""
    covariance = covariance.double()
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return lower
    symmetric = (covariance + covariance.T) / 2
    try:
        values, vectors = torch.linalg.eigh(symmetric)
    except RuntimeError:  # LAPACK's iteration can fail on a rank far below the width; that of svd does not
        _, values, rows = torch.linalg.svd(symmetric)
        values, vectors = values.flip(0), rows.T.flip(1)
    positive = values > values[-1].clamp(min=0) * len(values) * torch.finfo(torch.float64).eps
    factored: Tensor = vectors[:, positive] * values[positive].sqrt()
    return factored


def factor_of_rows(rows: Tensor) -> Tensor:
    """A factor (width, rank) of the unbiased covariance of rows (N, width): at no cost where there are few of them."""
    if len(rows) > rows.shape[1]:
        return factor(mean_and_covariance(moments(rows))[1])
    rows = rows.double()
    factored: Tensor = (rows - rows.mean(0)).T / (len(rows) - 1) ** 0.5
    return factored


def trace_of_root(first: Tensor, second: Tensor) -> Tensor:
    """Trace of (C1 C2)^(1/2) from factors of C1 and C2.

    C1 C2 has the eigenvalues of (F1' F2)(F1' F2)', so the trace of its root is the sum of the singular values of
    F1' F2. Exact for singular covariances, never complex, and without the root of a rounding error that eigenvalues of
    C1 C2 near 0 would bring.
    """
    product = first.T @ second
    if not product.numel():
        return product.new_zeros(())
    total: Tensor = torch.linalg.svdvals(product).sum()
    return total


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Fréchet (2-Wasserstein) distance between two Gaussians (Dowson and Landau 1982).

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64.

    Args:
        mean1: (width,).
        cov1: (width, width), symmetric and positive semi-definite.
        mean2: as the first.
        cov2: as the first.
    """
    return _frechet(mean1, factor(cov1), mean2, factor(cov2))


def frechet_distance_of_rows(first: Tensor, second: Tensor) -> Tensor:
    """The same between Gaussians with the means and unbiased covariances of rows (N, width) and (M, width)."""
    return _frechet(first.double().mean(0), factor_of_rows(first), second.double().mean(0), factor_of_rows(second))


def _frechet(mean1: Tensor, factor1: Tensor, mean2: Tensor, factor2: Tensor) -> Tensor:
    means = (mean1.double() - mean2.double()).square().sum()
    traces = factor1.square().sum() + factor2.square().sum()
    distance: Tensor = means + traces - 2 * trace_of_root(factor1, factor2)
    return distance.clamp(min=0)


def warn_of_bias(name: str, width: int, real: int, fake: int) -> None:
    """Say so where samples are too few for the covariances."""
    if min(real, fake) <= width:
        warnings.warn(
            f"{name} of {real:,} real and {fake:,} generated samples in {width:,} dimensions: with n <= {width:,} a "
            "covariance is singular, and the distance is biased upwards, strongly (two halves of one set are far from "
            "0). Compare it at the same n only, beside zoo.metrics.floor at this n, or take more samples or KID",
            UserWarning,
            stacklevel=3,
        )
