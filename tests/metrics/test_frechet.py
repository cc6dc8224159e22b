"""Truths of Fréchet distances."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from tests.helpers.metric_features import correlated, gaussian, values
from zoo.metrics import FID, FIDInfinity, frechet_distance
from zoo.metrics.frechet import factor, mean_and_covariance, merge_moments, moments


def test_two_gaussians_have_the_closed_form() -> None:
    """Commuting covariances: the sum of (difference of means)^2 + (difference of deviations)^2."""
    means = torch.tensor([0.0, 1.0, -2.0]), torch.tensor([3.0, 1.0, 2.0])
    deviations = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([2.0, 2.0, 1.5])
    turn = torch.linalg.qr(gaussian(3, 3, 0).double())[0]
    covariances = [turn @ torch.diag(d.double() ** 2) @ turn.T for d in deviations]
    found = frechet_distance(means[0], covariances[0], means[1], covariances[1])
    assert found.item() == pytest.approx(9 + 16 + 1 + 0 + 1, rel=1e-12)


def test_covariances_that_do_not_commute() -> None:
    """In two dimensions the trace of the root is (trace + 2 root of the determinant)^(1/2)."""
    a, b = torch.tensor([[2.0, 0.7], [0.7, 1.0]]), torch.tensor([[0.5, -0.3], [-0.3, 3.0]])
    product = (a @ b).double()
    root = math.sqrt(product.trace() + 2 * math.sqrt(torch.linalg.det(product)))
    zero = torch.zeros(2)
    assert frechet_distance(zero, a, zero, b).item() == pytest.approx(2 + 1 + 0.5 + 3 - 2 * root, rel=1e-6)


@pytest.mark.parametrize("n", [500, 20])
@pytest.mark.filterwarnings("ignore:fid of")
def test_the_same_set_is_at_distance_0(n: int) -> None:
    features = correlated(n, 32, 1)
    assert values(FID(32), features, features)["fid"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 30])
def test_a_singular_covariance_has_as_many_columns_as_its_rank(n: int) -> None:
    """n samples in 50 dimensions have a covariance of rank n - 1, whatever the scales of the dimensions."""
    x = torch.randn(n + 1, 50, generator=torch.Generator().manual_seed(n)).double() * torch.logspace(-2, 3, 50).double()
    covariance = mean_and_covariance(moments(x))[1]
    found = factor(covariance)
    assert found.shape == (50, n)
    torch.testing.assert_close(found @ found.T, covariance, rtol=1e-9, atol=1e-9)
    assert factor(torch.zeros(3, 3)).shape == (3, 0)


def test_singular_covariances_are_exact() -> None:
    """On a line: the distance of one-dimensional Gaussians, whatever the width."""
    line = torch.ones(40, dtype=torch.float64) / math.sqrt(40)
    zero, covariance = torch.zeros(40), torch.outer(line, line)
    assert frechet_distance(zero, covariance, zero, 9 * covariance).item() == pytest.approx(4, rel=1e-12)
    assert frechet_distance(zero, covariance * 0, zero, 9 * covariance).item() == pytest.approx(9)
    across = torch.diag(torch.tensor([1.0, 0.0])), torch.diag(torch.tensor([0.0, 1.0]))
    assert frechet_distance(zero[:2], across[0], zero[:2], across[1]).item() == pytest.approx(2)


def test_fewer_samples_than_dimensions_give_a_number_and_a_warning_that_names_the_bias() -> None:
    with pytest.warns(UserWarning, match=r"FD-x of 30 real and 25 generated samples in 64 dimensions.*biased upwards"):
        found = values(FID(64, name="FD-x"), gaussian(30, 64, 1), gaussian(25, 64, 2))
    assert found["FD-x"] > 30  # honest samples: the bias alone


def test_enough_samples_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(FID(8), gaussian(500, 8, 1), gaussian(500, 8, 2))["fid"] < 0.2


def test_a_large_mean_costs_no_digits() -> None:
    """Shifting both sides changes nothing; sums of squares would lose all digits of these deviations."""
    real, fake = correlated(400, 6, 1).double(), correlated(400, 6, 2, shift=0.2).double()
    near = values(FID(6), real, fake, batch=7)["fid"]
    far = values(FID(6), real + 1e8, fake + 1e8, batch=7)["fid"]
    assert near > 0.01
    assert far == pytest.approx(near, rel=1e-5)


def test_batches_do_not_matter() -> None:
    real, fake = correlated(300, 16, 1), correlated(200, 16, 2)
    assert values(FID(16), real, fake, batch=1)["fid"] == pytest.approx(values(FID(16), real, fake)["fid"], rel=1e-9)


def test_moments_of_parts_merge_to_those_of_all() -> None:
    features = correlated(100, 5, 1).double() + 3
    parts = torch.stack([moments(part) for part in (features[:10], features[10:10], features[10:])])
    merged = merge_moments(parts)
    assert torch.allclose(merged, moments(features), rtol=1e-12)
    assert merged[0, 0] == 100
    assert torch.allclose(merged[1:, 1:] / 99, features.T.cov(), rtol=1e-12)
    assert torch.equal(merge_moments(torch.zeros(2, 6, 6, dtype=torch.float64)), torch.zeros(6, 6, dtype=torch.float64))


def test_distance_falls_with_n_and_its_extrapolation_does_not() -> None:
    """Two Gaussians whose distance is known: 16 shifts of 0.5 make 4."""
    real = gaussian(20_000, 16, 1)
    errors, biases = [], []
    for seed in range(4):
        fake = gaussian(1000, 16, 10 + seed, mean=0.5)
        biases.append(values(FID(16), real, fake[:100])["fid"] - 4)
        errors.append(values(FIDInfinity(seed=seed), real, fake)["fid_infinity"] - 4)
    assert sum(biases) / 4 > 0.4  # expected: 16 / 100 of the mean and 16 * 17 / 800 of the covariance
    assert abs(sum(errors) / 4) < 0.15


def test_the_extrapolation_is_seeded_and_its_points_are_the_distance() -> None:
    real, fake = correlated(600, 8, 1), correlated(400, 8, 2)
    first, again, other = (values(FIDInfinity(seed=seed), real, fake) for seed in (1, 1, 2))
    assert first == again != other
    (whole,) = FIDInfinity().distances(real, fake, [400])
    assert whole == pytest.approx(values(FID(8), real, fake)["fid"], rel=1e-9)
    assert first["fid_infinity"] < whole


@pytest.mark.parametrize(
    ("n_real", "n_fake", "text"),
    [
        (1, 100, "fid_infinity needs at least 2 real samples; got 1"),
        (100, 19, "fid_infinity needs at least 20 generated samples; got 19"),
        (1, 1, "fid_infinity needs at least 20 generated samples; got 1"),
    ],
)
def test_the_extrapolation_names_the_side_with_too_few_samples(n_real: int, n_fake: int, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        values(FIDInfinity(), gaussian(n_real, 2, 1), gaussian(n_fake, 2, 2))


def test_it_is_said_what_is_wrong_with_features() -> None:
    metric = FID(8)
    with pytest.raises(ValueError, match=r"features must be \(B, 8\); got \(4, 3\)"):
        metric.update(torch.zeros(4, 3), real=True)
    with pytest.raises(ValueError, match=r"must be floats; got torch.int64"):
        metric.update(torch.zeros(4, 8, dtype=torch.long), real=True)
    metric.update(gaussian(9, 8, 1), real=True)
    with pytest.raises(ValueError, match="fid needs at least 2 generated samples; got 0"):
        metric.compute()
    metric.update(torch.full((3, 8), torch.nan), real=False)
    with pytest.raises(ValueError, match="features of the generated samples hold NaN or infinity"):
        metric.compute()
