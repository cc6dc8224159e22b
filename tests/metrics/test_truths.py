"""Truths about images, floors and intervals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tests.helpers.metric_features import correlated, gaussian, values
from zoo.metrics import (
    FID,
    KID,
    PRD,
    ClassHistogram,
    DensityCoverage,
    PrecisionRecall,
    bootstrap,
    floor,
    half_sample_intervals,
)
from zoo.metrics.density_coverage import expected_coverage
from zoo.metrics.intervals import wilson

DIGITS = load_digits()
IMAGES = torch.from_numpy(DIGITS.images).float()[:, None] / 8 - 1
LABELS = torch.from_numpy(DIGITS.target)


def features(images: Tensor) -> Tensor:
    """A fixed random layer of 40 units."""
    layer = torch.randn(64, 40, generator=torch.Generator().manual_seed(0)) / 8
    return (images.flatten(1) @ layer).relu()


def halves() -> tuple[Tensor, Tensor]:
    """Which digits are real, and which play the generated ones."""
    first, second = torch.randperm(len(IMAGES), generator=torch.Generator().manual_seed(1)).chunk(2)
    return first, second


def with_noise(amount: float) -> Tensor:
    images = IMAGES[halves()[1]]
    return images + amount * torch.randn(images.shape, generator=torch.Generator().manual_seed(2))


def blurred(amount: float) -> Tensor:
    images = IMAGES[halves()[1]]
    return torch.lerp(images, avg_pool2d(images, 3, 1, 1), amount)


def with_classes_dropped(amount: float) -> Tensor:
    which = halves()[1]
    return IMAGES[which[LABELS[which] < 10 - amount]]


@pytest.mark.parametrize(
    ("spoil", "amounts"),
    [(with_noise, (0, 0.2, 0.4, 0.8)), (blurred, (0, 0.4, 0.7, 1)), (with_classes_dropped, (0, 2, 5, 8))],
)
@pytest.mark.filterwarnings("ignore:fid of")
def test_distances_rise_with_damage(spoil: object, amounts: tuple[float, ...]) -> None:
    assert callable(spoil)
    real = features(IMAGES[halves()[0]])
    found = [
        values(FID(40), real, features(spoil(a))) | values(KID(30, 150), real, features(spoil(a))) for a in amounts
    ]
    for name in ("fid", "kid"):
        row = [values[name] for values in found]
        assert row == sorted(set(row)), name
    assert abs(found[0]["kid"]) < 0.1 * found[-1]["kid"]


def test_half_the_digits_dropped() -> None:
    real, honest = (features(IMAGES[half]) for half in halves())
    dropping = features(with_classes_dropped(5))
    before = values(PrecisionRecall(), real, honest) | values(DensityCoverage(), real, honest)
    after = values(PrecisionRecall(), real, dropping) | values(DensityCoverage(), real, dropping)
    assert after["precision"] == pytest.approx(before["precision"], abs=0.07)
    assert after["recall"] < 0.75 * before["recall"]
    assert after["coverage"] < 0.6 * before["coverage"]


def test_prd_tells_dropped_modes_from_bad_samples() -> None:
    """Half the modes: all samples good, half of them reached, and the other way round with the sides exchanged."""
    centres = 30 * gaussian(10, 8, 0)
    real = centres[torch.arange(1000) % 10] + gaussian(1000, 8, 1)
    fake = centres[torch.arange(1000) % 5] + gaussian(1000, 8, 2)
    ours = values(PRD(clusters=10, runs=2), real, fake)
    assert ours["f1/8"] > 0.9
    assert ours["f8"] < 0.6
    other = values(PRD(clusters=10, runs=2), fake, real)
    assert (other["f1/8"], other["f8"]) == pytest.approx((ours["f8"], ours["f1/8"]), abs=0.02)
    same = values(PRD(runs=2), real, real)
    assert min(same.values()) > 0.999
    apart = values(PRD(runs=2), real, fake + 1000)
    assert max(apart.values()) < 1e-3


def test_kid_is_0_on_average_for_honest_samples_of_any_number() -> None:
    found = [
        values(KID(subsets=1, subset_size=12, seed=seed), correlated(12, 8, seed), correlated(12, 8, 5000 + seed))
        for seed in range(400)
    ]
    kid = np.array([values["kid"] for values in found])
    assert abs(kid.mean()) < 3 * kid.std() / 20
    assert kid.min() < 0


def test_the_floor_is_the_metric_between_disjoint_halves() -> None:
    real = gaussian(4000, 10, 1)
    bias = {n: floor(lambda: FID(10), real, n)["fid"] for n in (100, 1000)}
    assert bias[100] > 5 * bias[1000] > 0  # about as 1 / n
    assert floor(DensityCoverage, real, 500)["coverage"] == pytest.approx(expected_coverage(500, 500, 5), abs=0.03)
    assert floor(lambda: FID(10), real, 100, seed=1)["fid"] != bias[100]
    repeated = torch.arange(40.0)[:, None].repeat(1, 3)  # no row of one half may be in the other
    assert floor(lambda: PrecisionRecall(k=1), repeated, 20)["precision"] > 0
    taken: list[Tensor] = []

    class Recording(ClassHistogram):
        def update(self, features: Tensor, real: bool) -> None:
            taken.append(features)
            super().update(features, real)

    floor(lambda: Recording(100), torch.arange(100), 50)
    assert sorted(torch.cat(taken).tolist()) == list(range(100))


def test_a_floor_that_the_data_cannot_give_is_explained() -> None:
    with pytest.raises(ValueError, match=r"floor at n=60 needs 120 real samples, two disjoint halves; got 100.*n=50"):
        floor(lambda: FID(3), gaussian(100, 3, 1), 60)


def test_the_interval_has_the_error_of_theory() -> None:
    """Two Gaussians on a line at distance d: the squared distance's error is 2 d (2 / n)^(1/2) to the first order."""
    n, d = 800, 3.0
    found = half_sample_intervals(lambda: FID(1), gaussian(n, 1, 1), gaussian(n, 1, 2, mean=d), repeats=200)["fid"]
    assert found.error == pytest.approx(2 * d * (2 / n) ** 0.5, rel=0.2)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.error, rel=1e-3)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Coverage at 80 %, 100 times: the true distance is d^2, its bias at this n is a tenth of its error."""
    held = 0
    for seed in range(100):
        real, fake = gaussian(200, 1, seed), gaussian(200, 1, 1000 + seed, mean=2.0)
        found = half_sample_intervals(lambda: FID(1), real, fake, repeats=20, seed=seed, level=0.8)["fid"]
        held += found.low < 4 < found.high
    assert 68 <= held <= 91


def test_near_the_floor_intervals_are_too_wide_rather_than_too_narrow() -> None:
    """Both sides are one Gaussian: the error is overstated by about the root of 3, as the docstring says."""
    sides = [(gaussian(200, 1, seed), gaussian(200, 1, 9000 + seed)) for seed in range(120)]
    found = [half_sample_intervals(lambda: FID(1), *pair, repeats=10)["fid"] for pair in sides]
    truth = np.std([each.value for each in found])
    assert 1.2 < np.mean([each.error**2 for each in found]) ** 0.5 / truth < 2.4


def test_halves_do_not_warn_of_their_own_bias() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        half_sample_intervals(lambda: FID(20), gaussian(30, 20, 1), gaussian(30, 20, 2), repeats=2)


def test_intervals_are_seeded_and_ask_for_sense() -> None:
    real, fake = gaussian(100, 2, 1), gaussian(100, 2, 2)
    first, again, other = (half_sample_intervals(lambda: FID(2), real, fake, 5, seed) for seed in (1, 1, 2))
    assert first == again != other
    with pytest.raises(ValueError, match=r"repeats must be at least 2.*got 1 and 0.95"):
        half_sample_intervals(lambda: FID(2), real, fake, repeats=1)


def test_half_samples_are_drawn_without_replacement_and_are_not_called_a_bootstrap() -> None:
    """Row M4: every half has distinct samples; the old name says what it is now called and gives the same numbers."""
    halves = []

    class Recorded(FID):
        def update(self, features: torch.Tensor, real: bool) -> None:
            halves.append(features)
            super().update(features, real)

    real, fake = gaussian(100, 2, 1), gaussian(100, 2, 2)
    found = half_sample_intervals(lambda: Recorded(2), real, fake, repeats=5)
    assert [len(half) for half in halves] == [100] * 2 + [50] * 10
    assert all(len(half.unique(dim=0)) == len(half) for half in halves)
    with pytest.warns(DeprecationWarning, match=r"renamed zoo.metrics.half_sample_intervals.*removed in 0.3.0"):
        assert bootstrap(lambda: FID(2), real, fake, repeats=5) == found


def test_wilsons_interval() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # tabulated
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1
