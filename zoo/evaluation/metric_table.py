"""The metrics by name: what each computes and from what, and the labels under which its numbers are reported."""

from __future__ import annotations

from torch import Tensor

from zoo import metrics
from zoo.errors import FeatureError, did_you_mean
from zoo.evaluation.metric_spec import MetricSpec, own_metric
from zoo.metrics import Rule, density_and_coverage, precision_and_recall
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs


class NeighbourMetrics(DistanceMetric):
    """Improved precision and recall (k = 3), and density and coverage (k = 5), from one pass over the distances."""

    higher_is_better = True
    rules = Rule(3, strict=False), Rule(5, strict=True)

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the statistics of both rules."""
        return Needs(rules=self.rules)

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `precision`, `recall`, `density` and `coverage`."""
        of_three, of_five = (found.statistics[rule] for rule in self.rules)
        return precision_and_recall(of_three) | density_and_coverage(of_five, 5)


METRICS: dict[str, MetricSpec] = {
    "fid": MetricSpec("Fréchet distance", "values", {"fid": False}, lambda width, n, modes: metrics.FID(width)),
    "fid_infinity": MetricSpec(
        "Fréchet distance extrapolated to infinitely many samples, 15 sizes from min(5000, n/10) to n",
        "values",
        {"fid_infinity": False},
        lambda width, n, modes: metrics.FIDInfinity(),
        has_intervals=False,
    ),
    "kid": MetricSpec(
        "kernel distance, 100 subsets of min(1000, n/2)",
        "values",
        {"kid": False},
        lambda width, n, modes: metrics.KID(subset_size=min(1000, max(2, n // 2))),
    ),
    "is": MetricSpec(
        "Inception Score, 10 splits (1 below 200 samples)",
        "logits",
        {"is": True},
        lambda width, n, modes: metrics.InceptionScore(splits=10 if n >= 200 else 1),
    ),
    "prdc": MetricSpec(
        "improved precision and recall (k=3), density and coverage (k=5)",
        "values",
        {"precision": True, "recall": True, "density": True, "coverage": True},
        lambda width, n, modes: NeighbourMetrics(),
    ),
    "prd": MetricSpec(
        "precision and recall for distributions: F8 and F1/8, 20 clusters, 10 clusterings",
        "values",
        {"f8": True, "f1/8": True},
        lambda width, n, modes: metrics.PRD(),
        has_intervals=False,
    ),
    "classes": MetricSpec(
        "total variation between class frequencies; classes that are missing",
        "classes",
        {"class_distance": False, "classes_missing": False},
        lambda width, n, modes: metrics.ClassHistogram(width),
    ),
    "modes": MetricSpec(
        "modes reached, divergence from equal shares; points within 3 deviations count",
        "classes",
        {"modes": True, "kl": False, "high_quality": True},
        lambda width, n, modes: (
            metrics.ModeCount(width) if modes is None else metrics.ModeCount(centres=modes[0], deviation=modes[1])
        ),
        has_intervals=False,
    ),
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
PUBLISHED = {key for spec in METRICS.values() for key in spec.keys}
COUNTS = ("classes_missing",)  # without interval: a half of the samples misses more classes
FRECHET = ("fid", "fid_infinity", "sfid")
SHARES = (  # in [0, 1], as their intervals
    *("precision", "recall", "coverage", "class_distance"),
    *("clipped_density", "clipped_coverage", "authenticity", "ms_ssim"),
)
INCEPTION_LABELS = {"fid": "FID", "fid_infinity": "FID-infinity", "kid": "KID", "is": "IS"}
OF_INCEPTION = {"inception": "", "inception-clean": "-clean", "inception-legacy-pytorch": "-legacy-pytorch"}
"""Ends of the published names by extractor: those with the network and weights of the FID, and their protocols."""
OTHER_LABELS = {"sfid": "sFID", "fid": "FD", "fid_infinity": "FD-infinity", "kid": "KD", "is": "score"}


def check_metrics(names: list[str]) -> None:
    """Check that every name is a key of `METRICS` or the path of a metric class, and that there is at least one.

    Raises:
        FeatureError: if there is no name, or an unknown one; the text suggests the most similar metric.
    """
    for name in names:
        metric_spec(name)
    if not names:
        raise FeatureError(f"metrics: name at least one of {', '.join(METRICS)}")


def metric_spec(name: str) -> MetricSpec:
    """Return the specification of a metric by its name, or by the import path of a class of the user's own.

    Raises:
        UserError: for an unknown name, or a class that is no metric.
    """
    if name in METRICS:
        return METRICS[name]
    if "." in name:
        return own_metric(name)
    raise FeatureError(
        f"metrics: there is no metric {name!r}.{did_you_mean(name, METRICS)} One of your own is named by its path: "
        f"my_ideas.{name}"
    )


def need_training_images(names: list[str]) -> bool:
    """Check whether a metric needs the features of training images, see `MetricSpec.train`."""
    return any(metric_spec(name).train for name in names)


def label_of(key: str, extractor: str) -> str:
    """Return the label of a number; published names such as FID are reserved for the published network.

    Args:
        key: name of the metric's result.
        extractor: name of the extractor.
    """
    if key == "sfid":
        return extractor.replace("inception-spatial", "sFID")
    if extractor in OF_INCEPTION and key in INCEPTION_LABELS:
        return INCEPTION_LABELS[key] + OF_INCEPTION[extractor]
    return f"{OTHER_LABELS.get(key, key)}-{extractor}"
