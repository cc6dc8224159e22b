"""Numbers computed from features, with labels, floors, confidence intervals and protocols."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import FeatureError
from zoo.evaluation.measured import Floor as Floor
from zoo.evaluation.measured import Measured, Task, measure_tasks, two_sets
from zoo.evaluation.metric_spec import MetricSpec
from zoo.evaluation.metric_spec import Modes as Modes
from zoo.evaluation.metric_table import COUNTS, METRICS, PUBLISHED, SHARES, check_metrics, label_of, metric_spec
from zoo.evaluation.reference import ReferenceSet
from zoo.features import Extractor, Features, InceptionSpatial, Pixels


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
    inputs, combined = _Inputs(extractor, reals, modes, seed, device), reals.combined
    tasks = [_task(name, inputs, combined, fake) for name in dict.fromkeys(names)]
    measured = measure_tasks(tasks, floors, repeats, seed)
    numbers: list[Number] = []
    for task in tasks:
        own = _numbers(task, measured[task.name], repeats, extractor.name, full_protocol)
        twice = {number.key for number in own} & {number.key for number in numbers}
        if twice:
            raise FeatureError(
                f"metrics: {task.name} computes {', '.join(sorted(twice))}, as another metric before it does; numbers "
                "are told apart by their names. Give it another name, or measure one metric at a time"
            )
        numbers += own
    return numbers


class _Inputs:
    """Inputs of metrics on the device they compute on, each made once, so that metrics can share a pass over them."""

    def __init__(
        self, extractor: Extractor, reals: ReferenceSet, modes: Modes | None, seed: int, device: torch.device | None
    ) -> None:
        self.extractor, self.reals, self.modes, self.seed, self.device = extractor, reals, modes, seed, device or "cpu"
        self._made: dict[Any, Any] = {}

    def of(self, spec: MetricSpec, name: str, features: Features) -> Tensor:
        """Return the input of a metric; see `_input_of`."""
        key = spec.input, name == "modes", features.values.data_ptr(), len(features)
        if key not in self._made:
            made = _input_of(spec, name, features, self.extractor, self.modes, self.reals).to(self.device)
            self._made[key] = features, made  # the features too: their address is the key
        found: Tensor = self._made[key][1]
        return found

    def two_sets(self, real: Tensor, n_real: int, n_fake: int) -> tuple[Tensor, Tensor]:
        """Return two sets of real images for the floor; see `measured.two_sets`."""
        key = real.data_ptr(), len(real), n_real, n_fake
        if key not in self._made:
            self._made[key] = two_sets(real, n_real, n_fake, self.seed)
        found: tuple[Tensor, Tensor] = self._made[key]
        return found


def _task(name: str, inputs: _Inputs, combined: Features, fake: Features) -> Task:
    """Return a metric with what it is measured on.

    Args:
        name: name of the metric.
        inputs: the inputs made so far.
        combined: features of all real images.
        fake: features of generated images.

    Raises:
        FeatureError: if the metric needs what the extractor or the real images do not have.
    """
    spec, reals = metric_spec(name), inputs.reals
    if spec.train:
        reals.require_training_features(name, beside=spec.train == "beside")
    real, generated = inputs.of(spec, name, reals.reference), inputs.of(spec, name, fake)
    if name == "prd":
        real, generated = real[: len(generated)], generated[: len(real)]
    train = None if reals.train is None or not spec.train else inputs.of(spec, name, reals.train)
    if train is not None and spec.train == "instead":
        sides = train, real[: len(generated)]  # held-out images in place of the generated ones
        real, train = train, None
    else:
        all_real = inputs.of(spec, name, combined if train is None else reals.own)
        sides = inputs.two_sets(all_real, len(real), len(generated))
    width = inputs.extractor.logits_width if spec.input == "classes" else real.shape[1]
    n = min(len(real), len(generated))
    return Task(name, spec, lambda: spec.make(width, n, inputs.modes), real, generated, sides, train)


def _numbers(task: Task, measured: Measured, repeats: int, extractor: str, protocol: dict[str, Any]) -> list[Number]:
    """Return the numbers of one metric, with floors, confidence intervals and protocols.

    Raises:
        FeatureError: if a metric of the user's own computes a name of this library's metrics.
    """
    spec, floor, intervals = task.spec, measured.floor, measured.intervals
    values = {key: value for key, value in measured.values.items() if not spec.keys or key in spec.keys}
    if task.name not in METRICS and values.keys() & PUBLISHED:
        raise FeatureError(
            f"metrics: {task.name} computes {', '.join(sorted(values.keys() & PUBLISHED))}, a name of a metric of this "
            "library. Give it another one"
        )
    metric_protocol = {
        **protocol,
        "metric": spec.description,
        "n_real": len(task.real),
        "n_fake": len(task.fake),
        "interval": f"95 %, {repeats} random halves" if intervals else None,
    }
    if measured.no_interval:
        metric_protocol["no_interval"] = measured.no_interval
    if task.train is not None:
        metric_protocol["n_train"] = len(task.train)
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


def _input_of(
    spec: MetricSpec, name: str, features: Features, extractor: Extractor, modes: Modes | None, reals: ReferenceSet
) -> Tensor:
    """Return the input of a metric: features (N, D), logits (N, K), classes (N,) or images (N, C, H, W).

    Raises:
        FeatureError: if the metric needs classes or images and the extractor has none.
    """
    if spec.input == "images":
        height, width, channels = reals.split.pool.images.shape[1:]
        if not isinstance(extractor, Pixels) or features.values.shape[1] != channels * height * width:
            raise FeatureError(
                f"metrics: {name} is computed from images as they are; got extractor {extractor.name}. Use "
                "extractor=pixels, without options"
            )
        return features.values.view(-1, channels, height, width)
    if spec.input == "spatial" and not isinstance(extractor, InceptionSpatial):
        raise FeatureError(
            f"metrics: {name} is computed from maps of an inner layer, whose positions are kept; got extractor "
            f"{extractor.name}. Use extractor=inception-spatial"
        )
    if spec.input in ("values", "spatial") or (name == "modes" and modes is not None):
        return features.values
    if features.logits is None:
        raise FeatureError(
            f"metrics: {name} needs classes, which extractor {extractor.name} does not have. Use extractor=inception, "
            "extractor=digits for handwritten digits, or leave this metric out"
        )
    return features.logits.argmax(1) if spec.input == "classes" else features.logits
