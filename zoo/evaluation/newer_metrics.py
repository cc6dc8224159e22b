"""Specifications of the metrics that came after FID, KID, precision and recall."""

from __future__ import annotations

from zoo import metrics
from zoo.evaluation.metric_spec import MetricSpec

NEWER: dict[str, MetricSpec] = {
    "mind": MetricSpec(
        "sliced 2-Wasserstein distance of features, 1000 directions (MIND)",
        "values",
        {"mind": False},
        lambda width, n, modes: metrics.MIND(),
    ),
    "clipped": MetricSpec(
        "clipped density and coverage (k=5)",
        "values",
        {"clipped_density": True, "clipped_coverage": True},
        lambda width, n, modes: metrics.ClippedDensityCoverage(),
    ),
    "vendi": MetricSpec(
        "Vendi score: effective number of different images, by cosine similarity",
        "values",
        {"vendi": True},
        lambda width, n, modes: metrics.Vendi(of_real=False),  # the floor is that of real ones
    ),
    "rke": MetricSpec(
        "Rényi kernel entropy as a number of modes; bandwidth half the RMS distance of real images",
        "values",
        {"rke": True},
        lambda width, n, modes: metrics.RKE(),
    ),
    "sfid": MetricSpec(
        "spatial Fréchet distance (extractor=inception-spatial)",
        "spatial",
        {"sfid": False},
        lambda width, n, modes: metrics.SpatialFID(width),
    ),
    "mifid": MetricSpec(
        "Fréchet distance over the cosine distance to training images, if that is below 0.1",
        "values",
        {"mifid": False},
        lambda width, n, modes: metrics.MiFID(),
        train="instead",
    ),
    "cmmd": MetricSpec(
        "1000 x squared kernel distance, Gaussian kernel of bandwidth 10, features of length 1",
        "values",
        {"cmmd": False},
        lambda width, n, modes: metrics.CMMD(normalise=True),
    ),
    "fld": MetricSpec(
        "feature likelihood divergence and its generalisation gap, from training and held-out images",
        "values",
        {"fld": False, "fld_gap": True},
        lambda width, n, modes: metrics.FLD(),
        has_intervals=False,
        train="beside",
    ),
    "authenticity": MetricSpec(
        "share of generated images that are no near copies of a training image",
        "values",
        {"authenticity": True},
        lambda width, n, modes: metrics.Authenticity(),
        train="instead",
    ),
    "ct": MetricSpec(
        "data-copying test C_T, 3 cells, 64 components: below 0 is copying",
        "values",
        {"ct": True},
        lambda width, n, modes: metrics.DataCopying(),
        has_intervals=False,
        train="beside",
    ),
    "swd": MetricSpec(
        "sliced Wasserstein distance of image patches x 1000, at each size (extractor=pixels)",
        "images",
        {"swd": False, **{f"swd_{16 << level}": False for level in range(7)}},
        lambda width, n, modes: metrics.SlicedWasserstein(),
        has_intervals=False,
    ),
    "ms_ssim": MetricSpec(
        "multi-scale structural similarity of pairs of generated images (extractor=pixels)",
        "images",
        {"ms_ssim": False},
        lambda width, n, modes: metrics.MSSSIM(),
    ),
}
