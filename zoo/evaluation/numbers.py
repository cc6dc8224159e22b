"""From features to numbers: what each metric is called, what stands beside it, and by which protocol."""

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

Modes = tuple[Tensor, float]


class Neighbours(StoredFeatures):
    """Improved precision and recall (k = 3) and density and coverage (k = 5) from one pass over the distances."""

    higher_is_better = True

    def compute(self) -> dict[str, Tensor]:
        """`precision`, `recall`, `density`, `coverage`."""
        improved, rim = neighbour_statistics(*self.features(), [Rule(3, False), Rule(5, True)])
        return precision_and_recall(improved) | density_and_coverage(rim, 5)


@dataclass(frozen=True)
class Kind:
    """One name of `metrics=`.

    Args:
        says: what it is, with its settings; recorded in the protocol.
        takes: `values`, `logits`, or `classes` (the largest logit).
        keys: of its results, and whether higher is better; other results are not numbers of their own.
        make: a fresh metric, from the width, the smaller number of samples, and the known modes or None.
        bootstraps: whether random halves give an interval.
    """

    says: str
    takes: str
    keys: dict[str, bool]
    make: Callable[[int, int, Modes | None], FeatureMetric]
    bootstraps: bool = True


METRICS: dict[str, Kind] = {
    "fid": Kind("Fréchet distance", "values", {"fid": False}, lambda width, n, modes: metrics.FID(width)),
    "fid_infinity": Kind(
        "Fréchet distance extrapolated to infinitely many samples, from 15 sizes between n/10 and n",
        "values",
        {"fid_infinity": False},
        lambda width, n, modes: metrics.FIDInfinity(),
        bootstraps=False,
    ),
    "kid": Kind(
        "kernel distance, 100 subsets of min(1000, n/2)",
        "values",
        {"kid": False},
        lambda width, n, modes: metrics.KID(subset_size=min(1000, max(2, n // 2))),
    ),
    "is": Kind(
        "Inception Score, 10 splits (1 below 200 samples)",
        "logits",
        {"is": True},
        lambda width, n, modes: metrics.InceptionScore(splits=10 if n >= 200 else 1),
    ),
    "prdc": Kind(
        "improved precision and recall (k=3), density and coverage (k=5)",
        "values",
        {"precision": True, "recall": True, "density": True, "coverage": True},
        lambda width, n, modes: Neighbours(),
    ),
    "prd": Kind(
        "precision and recall for distributions: F8 and F1/8, 20 clusters, 10 clusterings",
        "values",
        {"f8": True, "f1/8": True},
        lambda width, n, modes: metrics.PRD(),
        bootstraps=False,
    ),
    "classes": Kind(
        "total variation between class frequencies; classes that are missing",
        "classes",
        {"class_distance": False, "classes_missing": False},
        lambda width, n, modes: metrics.ClassHistogram(width),
    ),
    "modes": Kind(
        "modes reached, divergence from equal shares; points within 3 deviations count",
        "classes",
        {"modes": True, "kl": False, "high_quality": True},
        lambda width, n, modes: (
            metrics.ModeCount(width) if modes is None else metrics.ModeCount(centres=modes[0], deviation=modes[1])
        ),
        bootstraps=False,
    ),
}
COUNTS = ("classes_missing",)  # halves of the samples miss more: no interval follows from them
FRECHET = ("fid", "fid_infinity")
SHARES = ("precision", "recall", "coverage", "class_distance")  # within 0 and 1, and so are their intervals
INCEPTIONS_NAMES = {"fid": "FID", "fid_infinity": "FID-infinity", "kid": "KID", "is": "IS"}
OTHERS_NAMES = {"fid": "FD", "fid_infinity": "FD-infinity", "kid": "KD", "is": "score"}


@dataclass(frozen=True)
class Number:
    """A measured number and how it was measured.

    Args:
        key: of the metric's result, such as `fid` or `precision`.
        label: with the extractor in it, such as `FID`, `FD-digits` or `precision-digits`.
        value: as measured.
        low: lower end of the confidence interval, None where there is none.
        high: upper end.
        floor: the same between two disjoint sets of real images, what a perfect generator would get; None where real
            images are too few.
        floor_n: sizes of the two sets: those of the number itself, or smaller ones where there are not so many.
        higher_is_better: otherwise lower is.
        protocol: everything that it depends on.
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
        """Plain values, for JSON; what is not finite becomes None."""
        plain = asdict(self)
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in plain.items()}


def check_metrics(names: list[str]) -> None:
    """Refuse names that no metric has.

    Raises:
        FeatureError: naming the nearest.
    """
    for name in names:
        if name not in METRICS:
            raise FeatureError(f"metrics: there is no metric {name!r}.{did_you_mean(name, METRICS)}")
    if not names:
        raise FeatureError(f"metrics: name at least one of {', '.join(METRICS)}")


def label_of(key: str, extractor: str) -> str:
    """What a number is called: the published names are for the published network alone."""
    if extractor == "inception":
        return INCEPTIONS_NAMES.get(key, f"{key}-inception")
    return f"{OTHERS_NAMES.get(key, key)}-{extractor}"


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
    """Numbers about generated features.

    Args:
        names: keys of `METRICS`.
        extractor: that made the features.
        reals: features of real images.
        fake: features of generated ones.
        protocol: what else the numbers depend on; the extractor, the parts and their sizes are added.
        modes: centres and deviation of points with known modes.
        repeats: random halves for the confidence intervals; 0 for none.
        seed: of subsets, halves and floors.
        floors: those measured before on the same real images, by metric; new ones are added.
        device: to compute on.

    Raises:
        FeatureError: for an unknown metric, or features that it cannot take.
    """
    check_metrics(names)
    floors = {} if floors is None else floors
    whole = {
        **protocol,
        "extractor": extractor.name,
        **extractor.protocol,
        "split": reals.part,
    }
    numbers: list[Number] = []
    for name in names:
        kind = METRICS[name]
        real, made, everything = (
            _taken(kind, name, f, extractor, modes).to(device or "cpu")
            for f in (reals.reference, fake, reals.everything)
        )
        n = min(len(real), len(made))
        if name == "prd":
            real, made = real[:n], made[:n]
        width = extractor.logits_width if kind.takes == "classes" else extractor.width

        def fresh(kind: Kind = kind, width: int = width, n: int = n) -> FeatureMetric:
            metric = kind.make(width, n, modes)
            metric.distributed_available_fn = _alone  # one process has all features; others do not come to meet it
            return metric

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of the bias; the floor beside the number shows it
                if name not in floors:
                    floors[name] = _floor(fresh, everything, len(real), len(made), seed)
                numbers += _numbers(name, fresh, real, made, repeats, seed, floors[name], extractor.name, whole)
        except ValueError as error:
            raise FeatureError(f"metrics: {name}: {first_line(error)}") from error
    return numbers


@dataclass(frozen=True)
class Floor:
    """A metric's numbers between two disjoint sets of real images of sizes `n`."""

    n: tuple[int, int]
    values: dict[str, float]


def _alone() -> bool:
    """Whether several processes compute together: never here."""
    return False


def _floor(fresh: Callable[[], FeatureMetric], everything: Tensor, n_real: int, n_fake: int, seed: int) -> Floor:
    """At the sizes of the number itself, or at halves of all real images; without values where those are too few."""
    size = len(everything) // 2
    sizes = (n_real, n_fake) if n_real + n_fake <= len(everything) else (size, size)
    order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(seed)).to(everything.device)
    first, second = everything[order[: sizes[0]]], everything[order[sizes[0] : sum(sizes)]]
    try:
        return Floor(sizes, measure(fresh, first, second))
    except ValueError:
        return Floor(sizes, {})


def _numbers(
    name: str,
    fresh: Callable[[], FeatureMetric],
    real: Tensor,
    fake: Tensor,
    repeats: int,
    seed: int,
    base: Floor,
    extractor: str,
    protocol: dict[str, Any],
) -> list[Number]:
    """All numbers of one metric."""
    kind = METRICS[name]
    values = {key: value for key, value in measure(fresh, real, fake).items() if key in kind.keys}
    intervals = metrics.bootstrap(fresh, real, fake, repeats, seed) if repeats and kind.bootstraps else {}
    own = {
        **protocol,
        "metric": kind.says,
        "n_real": len(real),
        "n_fake": len(fake),
        "interval": f"95 %, {repeats} random halves" if intervals else None,
    }
    result = []
    for key, value in values.items():
        sure = key in intervals and key not in COUNTS
        low, high = (intervals[key].low, intervals[key].high) if sure else (None, None)
        if low is not None and high is not None and key in SHARES:
            low, high = max(low, 0.0), min(high, 1.0)
        floor_n = base.n if key in base.values else None
        result.append(
            Number(key, label_of(key, extractor), value, low, high, base.values.get(key), floor_n, kind.keys[key], own)
        )
    return result


def _taken(kind: Kind, name: str, features: Features, extractor: Extractor, modes: Modes | None) -> Tensor:
    """What a metric takes of an extractor's features."""
    if kind.takes == "values" or (name == "modes" and modes is not None):
        return features.values
    if features.logits is None:
        raise FeatureError(
            f"metrics: {name} needs classes, which extractor {extractor.name} does not have. Use extractor=inception, "
            "extractor=digits for handwritten digits, or leave it out"
        )
    return features.logits.argmax(1) if kind.takes == "classes" else features.logits
