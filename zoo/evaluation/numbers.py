"""Numbers computed from features: the metrics by name, with labels, floors, confidence intervals and protocols."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo import metrics
from zoo.errors import FeatureError, did_you_mean, first_line
from zoo.evaluation.metric_spec import MetricSpec as MetricSpec
from zoo.evaluation.metric_spec import Modes as Modes
from zoo.evaluation.metric_spec import own_metric
from zoo.evaluation.reference import ReferenceSet
from zoo.features import Extractor, Features
from zoo.metrics import (
    FeatureMetric,
    Rule,
    StoredFeatures,
    density_and_coverage,
    neighbour_statistics,
    precision_and_recall,
)
from zoo.metrics.intervals import measure


class NeighbourMetrics(StoredFeatures):
    """Improved precision and recall (k = 3), and density and coverage (k = 5), from one pass over the distances."""

    higher_is_better = True

    def compute(self) -> dict[str, Tensor]:
        """Return `precision`, `recall`, `density` and `coverage`."""
        of_three, of_five = neighbour_statistics(*self.features(), [Rule(3, False), Rule(5, True)])
        return precision_and_recall(of_three) | density_and_coverage(of_five, 5)


METRICS: dict[str, MetricSpec] = {
    "fid": MetricSpec("Fréchet distance", "values", {"fid": False}, lambda width, n, modes: metrics.FID(width)),
    "fid_infinity": MetricSpec(
        "Fréchet distance extrapolated to infinitely many samples, from 15 sizes between n/10 and n",
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
}
PUBLISHED = {key for spec in METRICS.values() for key in spec.keys}
COUNTS = ("classes_missing",)  # without interval: a half of the samples misses more classes
FRECHET = ("fid", "fid_infinity")
SHARES = ("precision", "recall", "coverage", "class_distance")  # in [0, 1], as their intervals
INCEPTION_LABELS = {"fid": "FID", "fid_infinity": "FID-infinity", "kid": "KID", "is": "IS"}
OF_INCEPTION = {"inception": "", "inception-clean": "-clean", "inception-legacy-pytorch": "-legacy-pytorch"}
"""Ends of the published names by extractor: those with the network and weights of the FID, and their protocols."""
OTHER_LABELS = {"fid": "FD", "fid_infinity": "FD-infinity", "kid": "KD", "is": "score"}


@dataclass(frozen=True)
class Number:
    """A measured number with its floor, its confidence interval and its protocol.

    The floor is the value of the same metric between two disjoint sets of real images of the same sizes. A perfect
    generator would get the floor, so compare `value` with it and not with zero.

    Args:
        key: name of the metric's result, such as `fid` or `precision`.
        label: name that includes the extractor, such as `FID`, `FD-digits` or `precision-digits`.
        value: measured value.
        low: lower end of the 95 % confidence interval; None without an interval.
        high: upper end of the 95 % confidence interval; None without an interval.
        floor: floor of the number; None if there are too few real images.
        floor_n: sizes of the two sets of the floor; None without a floor; smaller than those of the number if there
            are too few real images.
        higher_is_better: whether a higher value is better; otherwise a lower one is.
        protocol: everything that the number depends on.
    """

    key: str
    label: str
    value: float
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    floor_n: tuple[int, int] | None = None
    higher_is_better: bool = False
    protocol: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, for JSON; values that are not finite become None."""
        plain = asdict(self)
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in plain.items()}


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


def label_of(key: str, extractor: str) -> str:
    """Return the label of a number; published names such as FID are reserved for the published network.

    Args:
        key: name of the metric's result.
        extractor: name of the extractor.
    """
    if extractor in OF_INCEPTION and key in INCEPTION_LABELS:
        return INCEPTION_LABELS[key] + OF_INCEPTION[extractor]
    return f"{OTHER_LABELS.get(key, key)}-{extractor}"


def measure_numbers(
    names: list[str],
    extractor: Extractor,
    reals: ReferenceSet,
    fake: Features,
    protocol: dict[str, Any],
    *,
    modes: Modes | None = None,
    repeats: int = 0,
    seed: int = 0,
    floors: dict[str, Floor] | None = None,
    device: torch.device | None = None,
) -> list[Number]:
    """Measure generated images against real ones, from the features of both.

    Args:
        names: names of metrics, keys of `METRICS` or paths of classes.
        extractor: extractor of the features.
        reals: features of real images.
        fake: features of generated images.
        protocol: what else the numbers depend on; extractor, split and numbers of images are added.
        modes: centres and standard deviation of points with known modes.
        repeats: number of random halves for the confidence intervals; 0 for no intervals.
        seed: seed of subsets, halves and floors.
        floors: floors measured before on the same real images, by metric; new ones are added to it.
        device: device to compute on; None for the CPU.

    Raises:
        FeatureError: if a metric is unknown or does not accept the features.
    """
    check_metrics(names)
    floors = {} if floors is None else floors
    full_protocol = {
        **protocol,
        "extractor": extractor.name,
        **extractor.protocol,
        "split": reals.split_name,
    }
    numbers: list[Number] = []
    for name in names:
        spec = metric_spec(name)
        real, generated, all_real = (
            _input_of(spec, name, features, extractor, modes).to(device or "cpu")
            for features in (reals.reference, fake, reals.combined)
        )
        n = min(len(real), len(generated))
        if name == "prd":
            real, generated = real[:n], generated[:n]
        width = extractor.logits_width if spec.input == "classes" else extractor.width

        def new_metric(spec: MetricSpec = spec, width: int = width, n: int = n) -> FeatureMetric:
            metric = spec.make(width, n, modes)
            metric.distributed_available_fn = _not_distributed  # only rank 0 computes: no rank would join a collective
            return metric

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # about the bias, which the floor shows
                if name not in floors:
                    floors[name] = _floor(new_metric, all_real, len(real), len(generated), seed)
                numbers += _numbers(
                    name, new_metric, real, generated, repeats, seed, floors[name], extractor.name, full_protocol
                )
        except ValueError as error:
            raise FeatureError(f"metrics: {name}: {first_line(error)}") from error
    return numbers


@dataclass(frozen=True)
class Floor:
    """Floors of a metric's results; see `Number`.

    Args:
        n: sizes of the two disjoint sets of real images.
        values: floor of each result; empty if there are too few real images.
    """

    n: tuple[int, int]
    values: dict[str, float]


def _not_distributed() -> bool:
    """Return False: a metric that asks computes on one process, even if there are several."""
    return False


def _floor(new_metric: Callable[[], FeatureMetric], real: Tensor, n_real: int, n_fake: int, seed: int) -> Floor:
    """Measure the floor at the sizes of the number itself, or on two halves if there are too few real images.

    Args:
        new_metric: factory of the metric.
        real: inputs of all real images.
        n_real: number of real images that the number is measured with.
        n_fake: number of generated images that the number is measured with.
        seed: seed of the two sets.
    """
    half = len(real) // 2
    sizes = (n_real, n_fake) if n_real + n_fake <= len(real) else (half, half)
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed)).to(real.device)
    first, second = real[order[: sizes[0]]], real[order[sizes[0] : sum(sizes)]]
    try:
        return Floor(sizes, measure(new_metric, first, second))
    except ValueError:
        return Floor(sizes, {})


def _numbers(
    name: str,
    new_metric: Callable[[], FeatureMetric],
    real: Tensor,
    fake: Tensor,
    repeats: int,
    seed: int,
    floor: Floor,
    extractor: str,
    protocol: dict[str, Any],
) -> list[Number]:
    """Measure all numbers of one metric, with their confidence intervals."""
    spec = metric_spec(name)
    computed = measure(new_metric, real, fake)
    values = {key: value for key, value in computed.items() if not spec.keys or key in spec.keys}
    if name not in METRICS and values.keys() & PUBLISHED:
        raise FeatureError(
            f"metrics: {name} computes {', '.join(sorted(values.keys() & PUBLISHED))}, a name of a metric of this "
            "library. Give it another one"
        )
    intervals = (
        metrics.half_sample_intervals(new_metric, real, fake, repeats, seed) if repeats and spec.has_intervals else {}
    )
    metric_protocol = {
        **protocol,
        "metric": spec.description,
        "n_real": len(real),
        "n_fake": len(fake),
        "interval": f"95 %, {repeats} random halves" if intervals else None,
    }
    result = []
    for key, value in values.items():
        has_interval = key in intervals and key not in COUNTS
        low, high = (intervals[key].low, intervals[key].high) if has_interval else (None, None)
        if low is not None and high is not None and key in SHARES:
            low, high = max(low, 0.0), min(high, 1.0)
        result.append(
            Number(
                key=key,
                label=label_of(key, extractor),
                value=value,
                low=low,
                high=high,
                floor=floor.values.get(key),
                floor_n=floor.n if key in floor.values else None,
                higher_is_better=spec.keys.get(key, spec.higher_is_better),
                protocol=metric_protocol,
            )
        )
    return result


def _input_of(spec: MetricSpec, name: str, features: Features, extractor: Extractor, modes: Modes | None) -> Tensor:
    """Return the input of a metric: features (N, D), logits (N, K), or classes (N,).

    Raises:
        FeatureError: if the metric needs classes and the extractor has none.
    """
    if spec.input == "values" or (name == "modes" and modes is not None):
        return features.values
    if features.logits is None:
        raise FeatureError(
            f"metrics: {name} needs classes, which extractor {extractor.name} does not have. Use extractor=inception, "
            "extractor=digits for handwritten digits, or leave this metric out"
        )
    return features.logits.argmax(1) if spec.input == "classes" else features.logits
