"""Fréchet distance between Gaussians, and running moments that fit a Gaussian to a stream of features."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def merge_moments(parts: Tensor) -> Tensor:
    """Merge the moments of disjoint parts into those of their union.

    Moments are one matrix [[n, mean], [0, scatter]], where scatter is the sum of (x - mean)(x - mean)'. Merging means
    and scatters (Chan, Golub and LeVeque 1979) stays accurate where sum x x' - n mean mean' cancels: for features whose
    mean is large compared with their standard deviation.

    Args:
        parts: moments of P parts (P, D + 1, D + 1).

    Returns:
        Moments of the union (D + 1, D + 1).
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
    """Compute the moments (D + 1, D + 1) in float64 of features (N, D); see `merge_moments`."""
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
    """Merge a batch of features into moments, in place.

    Args:
        total: moments (D + 1, D + 1) in float64; see `merge_moments`.
        features: features (B, D).
    """
    features = features.double()
    n, more = total[0, 0].clone(), len(features)
    if not more:
        return
    mean = features.mean(0)
    centred = features - mean
    apart = mean - total[0, 1:]
    # One product for both terms: the batch's scatter, and the one between the two means.
    rows = torch.cat([centred, (apart * (n * more / (n + more)).sqrt())[None]])
    total[1:, 1:].addmm_(rows.T, rows)
    total[0, 1:] += apart * (more / (n + more))
    total[0, 0] += more


def mean_and_covariance(total: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (D,) and unbiased covariance (D, D), divisor n - 1, from moments (D + 1, D + 1)."""
    return total[0, 1:], total[1:, 1:] / (total[0, 0] - 1)


def factor(covariance: Tensor) -> Tensor:
    """Factor a covariance C (D, D), singular or not: return F (D, rank) with F F' = C.

    A singular one, as that of fewer samples than features, is factored by Cholesky's method with pivots (LAPACK's
    pstrf, Hammarling, Higham and Lucas 2007), which takes D rank^2 operations, where eigenvectors take D^3.
    """
    covariance = covariance.double()
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(covariance)
    return factor_with_pivots(covariance) if failed else lower


def factor_with_pivots(covariance: Tensor) -> Tensor:
    """Factor a positive semi-definite covariance (D, D), float64, by Cholesky's method with pivots, on the host."""
    from scipy.linalg import lapack  # here, since it takes long to import

    symmetric = ((covariance + covariance.T) / 2).cpu().numpy()
    factored, order, rank, _ = lapack.dpstrf(symmetric, lower=1)
    lower = torch.from_numpy(factored)[:, :rank].tril()
    result = torch.empty_like(lower)
    result[torch.from_numpy(order).long() - 1] = lower
    return result.to(covariance.device)


def factor_of_rows(rows: Tensor) -> Tensor:
    """Factor the unbiased covariance C of features (N, D): return F with F F' = C; for N <= D, centred rows (D, N)."""
    if len(rows) > rows.shape[1]:
        return factor(mean_and_covariance(moments(rows))[1])
    rows = rows.double()
    factored: Tensor = (rows - rows.mean(0)).T / (len(rows) - 1) ** 0.5
    return factored


def trace_of_root(first: Tensor, second: Tensor) -> Tensor:
    """Compute tr((C1 C2)^(1/2)) from factors C1 = F1 F1' and C2 = F2 F2'.

    C1 C2 has the eigenvalues of (F1' F2)(F1' F2)', so the trace of its root is the sum of the singular values of
    F1' F2. This is exact for singular covariances and never complex; eigenvalues of C1 C2 near 0 would give the square
    root of a rounding error instead.

    Args:
        first: F1 (D, rank1).
        second: F2 (D, rank2).
    """
    product = first.T @ second
    if not product.numel():
        return product.new_zeros(())
    total: Tensor = torch.linalg.svdvals(product).sum()
    return total


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Compute the squared Fréchet (2-Wasserstein) distance between two Gaussians (Dowson and Landau 1982), in float64.

        d^2 = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

    Args:
        mean1: mean m1 (D,).
        cov1: covariance C1 (D, D), symmetric and positive semi-definite.
        mean2: mean m2 (D,).
        cov2: covariance C2 (D, D), symmetric and positive semi-definite.

    Example:
        >>> import torch
        >>> from zoo.metrics import frechet_distance
        >>> origin, identity = torch.zeros(3), torch.eye(3)
        >>> round(frechet_distance(origin, identity, origin + 1, 4 * identity).item(), 6)
        6.0
    """
    return _frechet(mean1, factor(cov1), mean2, factor(cov2))


def frechet_distance_of_rows(first: Tensor, second: Tensor) -> Tensor:
    """Compute `frechet_distance` between Gaussians fitted to features (N, D) and (M, D)."""
    return _frechet(first.double().mean(0), factor_of_rows(first), second.double().mean(0), factor_of_rows(second))


def _frechet(mean1: Tensor, factor1: Tensor, mean2: Tensor, factor2: Tensor) -> Tensor:
    means = (mean1.double() - mean2.double()).square().sum()
    traces = factor1.square().sum() + factor2.square().sum()
    distance: Tensor = means + traces - 2 * trace_of_root(factor1, factor2)
    return distance.clamp(min=0)


def warn_of_bias(name: str, width: int, real: int, fake: int) -> None:
    """Warn if there are too few samples to estimate the covariances.

    Args:
        name: name of the metric.
        width: number of features D.
        real: number of real samples.
        fake: number of generated samples.
    """
    if min(real, fake) <= width:
        warnings.warn(
            f"{name} of {real:,} real and {fake:,} generated samples in {width:,} dimensions: with n <= {width:,} a "
            "covariance is singular, and the distance is strongly biased upwards (two halves of one set are far from "
            "0). Compare it only at the same n and with zoo.metrics.floor at this n, or use more samples or KID",
            UserWarning,
            stacklevel=3,
        )
