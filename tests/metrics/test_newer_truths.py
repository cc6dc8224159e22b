"""Truths of the newer metrics, and what they say of input that they cannot use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.metric_features import correlated, gaussian, values
from zoo import metrics


def test_a_share_of_bad_samples_is_the_fall_of_clipped_density_and_coverage() -> None:
    """Their scale: with a share p far away, both are 1 - p. Density and coverage have no such scale."""
    real, good = gaussian(1500, 4, 1), gaussian(1500, 4, 2)
    for share in (0.0, 0.4, 0.8):
        fake = good.clone()
        fake[: int(1500 * share)] += 100
        found = values(metrics.ClippedDensityCoverage(), real, fake)
        assert found["clipped_density"] == pytest.approx(1 - share, abs=0.06)
        assert found["clipped_coverage"] == pytest.approx(1 - share, abs=0.06)


def test_vendi_and_rke_count_clusters() -> None:
    centres = 100 * torch.eye(6)
    fake = centres[torch.arange(60) % 6] + 0.001 * gaussian(60, 6, 1)
    assert values(metrics.Vendi(), centres, fake)["vendi"] == pytest.approx(6, rel=1e-3)
    found = values(metrics.RKE(bandwidth=1.0), centres, fake)
    assert found["rke"] == pytest.approx(6, rel=1e-3)
    assert found["rke_real"] == pytest.approx(6)
    uneven = torch.cat([fake, centres[:1].repeat(60, 1)])  # 70 of 120 in one cluster, 10 in each of the others
    shares = torch.tensor([70, 10, 10, 10, 10, 10]).double() / 120
    expected = {"vendi": float((-shares * shares.log()).sum().exp()), "rke": float(1 / shares.square().sum())}
    assert values(metrics.Vendi(), centres, uneven)["vendi"] == pytest.approx(expected["vendi"], rel=1e-3)
    assert values(metrics.RKE(bandwidth=1.0), centres, uneven)["rke"] == pytest.approx(expected["rke"], rel=1e-3)


@pytest.mark.parametrize("metric", [metrics.MIND, metrics.CMMD, lambda: metrics.CMMD(normalise=True)])
def test_distances_are_0_for_the_same_samples_and_rise_with_a_shift(metric: Callable[[], Any]) -> None:
    real = correlated(300, 10, 1) + 1
    (name,) = values(metric(), real, real)
    shifts = [values(metric(), real, real + shift * torch.arange(10))[name] for shift in (0.0, 0.1, 0.2, 0.4)]
    assert shifts[0] == pytest.approx(0, abs=1e-6)
    assert shifts == sorted(set(shifts))


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_scales_beyond_the_range_of_squares_are_measured(scale: float) -> None:
    real, fake = correlated(80, 8, 1), correlated(70, 8, 2, shift=0.3)
    for metric in (metrics.ClippedDensityCoverage, metrics.Authenticity, metrics.RKE, metrics.Vendi):
        usual, scaled = values(metric(), real, fake), values(metric(), scale * real, scale * fake)
        usual.pop("rke_bandwidth", None), scaled.pop("rke_bandwidth", None)
        assert scaled == pytest.approx(usual, rel=1e-4)


def test_copies_are_seen() -> None:
    train, held_out, fresh = (correlated(200, 12, seed) for seed in (1, 2, 3))
    copies = train + 1e-4 * gaussian(200, 12, 4)
    assert values(metrics.Authenticity(), train, copies)["authenticity"] < 0.02
    assert values(metrics.Authenticity(), train, fresh)["authenticity"] > 0.3
    for over in ("real", "generated"):
        copied, own = (values(metrics.MiFID(over=over), train, side) for side in (copies, fresh))
        assert copied["memorisation_distance"] < 1e-6 < own["memorisation_distance"]
    for metric, key in ((metrics.FLD, "fld_gap"), (metrics.DataCopying, "ct")):
        found = []
        for side in (copies, fresh):
            one = metric()
            one.update(train, real=True, train=True)
            found.append(values(one, held_out, side)[key])
        assert found[0] < found[1] - 5


def test_sliced_distance_of_images_is_0_for_the_same_and_sees_blur_in_fine_detail() -> None:
    images = torch.randint(0, 256, (40, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    blurred = torch.nn.functional.avg_pool2d(images.float(), 3, 1, 1).round().byte()
    metric = lambda: metrics.SlicedWasserstein(patches=8, repeats=1)  # noqa: E731
    same, blur = values(metric(), images, images), values(metric(), images, blurred)
    assert set(same) == {"swd", "swd_64", "swd_32", "swd_16"}
    assert max(same.values()) == 0
    assert blur["swd_64"] > 2 * blur["swd_16"]
    as_floats = values(metric(), images.float() / 127.5 - 1, blurred.float() / 127.5 - 1)
    assert as_floats == blur


def one_of_each(real: Tensor, fake: Tensor) -> None:
    metric = metrics.Together([metrics.PrecisionRecall(), metrics.CMMD()])
    values(metric, real, fake)


X = correlated(30, 6, 1)
IMAGES = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)


def two(metric: Any, real: Tensor, fake: Tensor) -> Callable[[], Any]:
    return lambda: values(metric, real, fake)


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (lambda: metrics.MIND(0), r"projections must be at least 1; got 0"),
        (lambda: metrics.ClippedDensityCoverage(0), r"k must be at least 1; got 0"),
        (lambda: metrics.Vendi(order=0), r"order must be above 0; got 0"),
        (lambda: metrics.RKE(bandwidth=-1.0), r"bandwidth must be above 0 and finite; got -1.0"),
        (lambda: metrics.CMMD(sigma=0), r"sigma and scale must be above 0 and finite; got 0 and 1000"),
        (lambda: metrics.MiFID(threshold=2), r"threshold must be above 0 and at most 1; got 2"),
        (lambda: metrics.MiFID(over="fake"), r"over must be real or generated; got 'fake'"),  # type: ignore[arg-type]
        (lambda: metrics.FLD(centres=1), r"centres must be at least 2; got 1"),
        (lambda: metrics.DataCopying(cells=0), r"cells must be at least 1; got 0"),
        (lambda: metrics.SlicedWasserstein(patches=0), r"patches must be at least 1; got 0"),
        (
            two(metrics.ClippedDensityCoverage(), X[:5], X),
            r"k=5 nearest neighbours need at least 6 real samples; got 5",
        ),
        (two(metrics.Authenticity(), X[:1], X), r"k=1 nearest neighbours need at least 2 real samples; got 1"),
        (two(metrics.MIND(), X, X[:, :5].clone()), r"features must be \(B, 6\); got \(30, 5\)"),
        (two(metrics.Vendi(), X, X[:0]), r"the Vendi score needs at least 1 generated samples; got 0"),
        (two(metrics.RKE(), X[:1], X), r"takes its bandwidth from real samples; got 1 of them. Give bandwidth="),
        (two(metrics.RKE(), X[:1].repeat(5, 1), X), r"bandwidth from real samples, and all are equal"),
        (two(metrics.CMMD(), X / 0, X), r"features of the real samples hold NaN or infinity"),
        (
            two(metrics.CMMD(normalise=True), X + 1, 0 * X),
            r"features of 30 generated samples are all 0: they have no direct",
        ),
        (two(metrics.MiFID(), 0 * X, X), r"MiFID: the features of all real samples are 0, and have no direction"),
        (
            two(metrics.FLD(), X, X),
            r"FLD needs at least 4 training samples; got 0. Give them with update\(features, real",
        ),
        (two(metrics.DataCopying(), X, X), r"DataCopying needs at least 3 training samples; got 0"),
        (
            lambda: metrics.FLD().update(X, real=False, train=True),
            r"generated samples are no training samples. Leave out",
        ),
        (lambda: metrics.MSSSIM().update(X, real=True), r"images must be \(B, C, H, W\); got \(30, 6\)"),
        (
            lambda: metrics.MSSSIM().update(IMAGES.float() + 2, real=True),
            r"of float in \[-1, 1\] or of uint8; got values",
        ),
        (
            lambda: metrics.MSSSIM().update(IMAGES.long(), real=True),
            r"of float in \[-1, 1\] or of uint8; got torch.int64",
        ),
        (lambda: metrics.MSSSIM().update(IMAGES[..., :24], real=True), r"must be multiples of 16; got 32 x 24"),
        (
            lambda: metrics.SlicedWasserstein().update(IMAGES[..., :16], real=True),
            r"square images.* got 32 x 16. Resize",
        ),
        (two(metrics.MSSSIM(), IMAGES, IMAGES[:1]), r"MS-SSIM needs at least 2 generated samples; got 1"),
        (
            two(metrics.SlicedWasserstein(), IMAGES, IMAGES[:, :1]),
            r"images must be \(3, 32, 32\) \(C, H, W\) as before",
        ),
        (lambda: one_of_each(X[:3], X), r"k=3 nearest neighbours need at least 4 real samples; got 3"),
    ],
)
def test_what_cannot_be_measured_is_explained(cause: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        cause()


def test_a_cell_without_held_out_or_generated_samples_is_explained() -> None:
    apart = torch.cat([X, X + 1000])
    metric = metrics.DataCopying(cells=2)
    metric.update(apart, real=True, train=True)
    with pytest.raises(ValueError, match=r"C_T: cell \d of 2 has 30 training and 0 held-out samples, and needs both"):
        values(metric, X, apart)
    metric.reset()
    metric.update(apart, real=True, train=True)
    with pytest.raises(ValueError, match=r"C_T: no cell has more than 20 generated samples; got 10 in 2 cells"):
        values(metric, apart, apart[::6])


def test_images_of_both_sides_are_kept_as_bytes_and_pairs_follow_their_order() -> None:
    images = torch.randint(0, 256, (6, 1, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    found = values(metrics.MSSSIM(), images[[0, 0, 1, 1]], images[[0, 1, 2, 3, 4]], batch=3)
    pairs = [values(metrics.MSSSIM(), images, images[i : i + 2])["ms_ssim"] for i in (0, 2)]
    assert found["ms_ssim"] == pytest.approx(sum(pairs) / 2)
    assert found["ms_ssim_real"] == pytest.approx(1)
