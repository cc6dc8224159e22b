"""The Fréchet distance of generated images to published statistics, of which only mean and covariance are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import FeatureError
from zoo.evaluation.metric_table import METRICS, label_of
from zoo.evaluation.numbers import Number
from zoo.evaluation.reference_files import ReferenceFile, Statistics
from zoo.features import Extractor, Features
from zoo.metrics.frechet import frechet_distance, mean_and_covariance, moments
from zoo.metrics.intervals import Z95

POSSIBLE = ("fid", "sfid")
"""The metrics that mean and covariance are enough for."""


def check_possible(names: list[str], given: ReferenceFile) -> None:
    """Check that every metric can be measured from mean and covariance.

    Raises:
        FeatureError: for another metric.
    """
    for name in names:
        if name not in POSSIBLE:
            raise FeatureError(
                f"metrics: {name} needs the features of single real images; {given.path} holds their mean and "
                f"covariance alone. Use metrics={POSSIBLE[0]}, or give the real images: a folder, or an array of them"
            )


def distance_to(
    name: str,
    statistics: Statistics,
    given: ReferenceFile,
    network: Extractor,
    fake: Features,
    protocol: dict[str, Any],
    *,
    repeats: int = 0,
    seed: int = 0,
    device: torch.device | None = None,
) -> Number:
    """Measure the Fréchet distance of generated images to statistics of real ones.

    There is no floor, since there are no real images to measure it on. The interval, from random halves, is that of the
    generated images; that of the real ones is not known.

    Args:
        name: name of the metric, one of POSSIBLE.
        statistics: mean and covariance of real images.
        given: the file that they are from.
        network: extractor of the features.
        fake: features of generated images.
        protocol: what else the number depends on.
        repeats: number of random halves for the confidence interval; 0 for none.
        seed: seed of the halves.
        device: device to compute on; None for the CPU.

    Raises:
        FeatureError: if there are fewer than 2 generated images.
    """
    values = fake.values.to(device or "cpu")
    if len(values) < 2:
        raise FeatureError(f"metrics: {name} needs at least 2 generated samples; got {len(values)}")
    mean, covariance = statistics.mean.to(values.device), statistics.covariance.to(values.device)

    def distance(rows: Tensor) -> float:
        return float(frechet_distance(mean, covariance, *mean_and_covariance(moments(rows))))

    value = distance(values)
    low = high = None
    if repeats and len(values) >= 4:
        rng = np.random.default_rng(seed)
        halves = (torch.from_numpy(rng.permutation(len(values))[: len(values) // 2]) for _ in range(repeats))
        error = float(np.std([distance(values[half.to(values.device)]) for half in halves], ddof=1))
        low, high = value - Z95 * error, value + Z95 * error
    return Number(
        key=name,
        label=label_of(name, network.name),
        value=value,
        low=low,
        high=high,
        higher_is_better=False,
        protocol={
            **protocol,
            "extractor": network.name,
            **network.protocol,
            "split": "of the file",
            "metric": METRICS[name].description,
            "n_real": statistics.n,
            "n_fake": len(values),
            "reference": f"mean and covariance from {given.path.name}, sha256 {given.digest()}",
            "made_by": given.made_by or "not known",
            "interval": None if low is None else f"95 %, {repeats} random halves of the generated images",
        },
    )


def statistics_of(network: Extractor, features: Features, about: dict[str, Any]) -> Statistics:
    """Return mean and covariance of features, with the protocol of their extractor.

    Args:
        network: extractor of the features.
        features: features of real images.
        about: what else is recorded, such as the data.

    Raises:
        FeatureError: if there are fewer than 2 images.
    """
    if len(features) < 2:
        raise FeatureError(f"stats: at least 2 images are needed; got {len(features)}")
    mean, covariance = mean_and_covariance(moments(features.values))
    return Statistics(mean, covariance, len(features), {"extractor": network.name, **network.protocol}, about)
