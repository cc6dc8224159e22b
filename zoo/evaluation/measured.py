"""Values, floors and intervals of metrics: those of distances are measured together, from one pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import FeatureError, first_line
from zoo.evaluation.metric_spec import MetricSpec
from zoo.metrics import FeatureMetric, Interval
from zoo.metrics.distance_pass import DistanceMetric, can_share, numbers_of_each
from zoo.metrics.intervals import intervals_of, measure, plain_numbers
from zoo.metrics.training_features import ThreeSets


@dataclass(frozen=True)
class Floor:
    """Floors of a metric's results; see `Number`.

    Args:
        n: sizes of the two disjoint sets of real images.
        values: floor of each result; empty if there are too few real images.
    """

    n: tuple[int, int]
    values: dict[str, float]


@dataclass(frozen=True)
class Task:
    """One metric and what it is measured on.

    Args:
        name: name of the metric.
        spec: its specification.
        make: factory of the metric.
        real: input (N, ...) of the real images.
        fake: input (M, ...) of the generated images.
        floor_sides: inputs of two disjoint sets of real images, to measure the floor on.
        train: features of training images, for a metric that needs them beside held-out ones.
    """

    name: str
    spec: MetricSpec
    make: Callable[[], FeatureMetric]
    real: Tensor
    fake: Tensor
    floor_sides: tuple[Tensor, Tensor]
    train: Tensor | None = None

    def new(self) -> FeatureMetric:
        """Return a new metric that computes on this process alone, and knows the training images."""
        metric = self.make()
        metric.distributed_available_fn = _not_distributed  # only rank 0 computes: no rank would join a collective
        if isinstance(metric, ThreeSets) and self.train is not None:
            metric.to(self.train.device).update(self.train, real=True, train=True)
        return metric


@dataclass(frozen=True)
class Measured:
    """What was measured of one metric.

    Args:
        values: its numbers by name.
        floor: its floor.
        intervals: confidence intervals of its numbers; empty where none were asked for or none are valid.
        no_interval: why random halves give no interval, where one was asked for; otherwise empty.
    """

    values: dict[str, float]
    floor: Floor
    intervals: dict[str, Interval]
    no_interval: str = ""


def _not_distributed() -> bool:
    """Return False: a metric that asks computes on one process, even if there are several."""
    return False


def measure_tasks(tasks: Sequence[Task], floors: dict[str, Floor], repeats: int, seed: int) -> dict[str, Measured]:
    """Measure metrics, those of distances between the same features together.

    Args:
        tasks: the metrics.
        floors: floors measured before on the same real images, by metric; new ones are added to it.
        repeats: number of random halves for the confidence intervals; 0 for no intervals.
        seed: seed of the halves.

    Returns:
        What was measured, by name.

    Raises:
        FeatureError: naming the metric that does not accept its input; or for a single half.
    """
    if repeats < 0 or repeats == 1:
        raise FeatureError(f"repeats: 0 for no intervals, or at least 2; got {repeats}")
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the bias, which the floor shows
        for group in _groups(tasks):
            values = _values(group)
            new = [task for task in group if task.name not in floors]
            if new:
                floors |= _floors(new)
            valid = [task for task in group if task.spec.has_intervals]
            intervals = _intervals(valid, values, repeats, seed) if repeats and valid else {}
            for task in group:
                own, reason = intervals.get(task.name, ({}, ""))
                found[task.name] = Measured(values[task.name], floors[task.name], own, reason)
    return found


def _groups(tasks: Sequence[Task]) -> list[list[Task]]:
    """Return the tasks in groups that one pass over distances can measure, in the order of their first."""
    groups: dict[object, list[Task]] = {}
    for task in tasks:
        shared = can_share(task.make())
        groups.setdefault((task.real.data_ptr(), len(task.real)) if shared else task.name, []).append(task)
    return list(groups.values())


def _measure(group: Sequence[Task], real: Tensor, fake: Tensor) -> dict[str, dict[str, float]]:
    """Compute each metric's numbers by its name; those of a group come from one pass, and are kept apart."""
    if len(group) == 1:
        return {group[0].name: measure(group[0].new, real, fake)}
    metrics = [metric for task in group if isinstance(metric := task.new(), DistanceMetric)]
    store = metrics[0].to(real.device)  # holds the features for all
    store.update(real, real=True)
    store.update(fake, real=False)
    found = numbers_of_each(metrics, *store.features())
    return {task.name: plain_numbers(metric, own) for task, metric, own in zip(group, metrics, found)}


def _values(group: Sequence[Task]) -> dict[str, dict[str, float]]:
    """Measure a group; return each metric's numbers by its name.

    Raises:
        FeatureError: naming the metric that does not accept its input.
    """
    try:
        return _measure(group, group[0].real, group[0].fake)
    except ValueError as error:
        if len(group) > 1:  # one by one, to find the metric
            return {name: values for task in group for name, values in _values([task]).items()}
        raise FeatureError(f"metrics: {group[0].name}: {first_line(error)}") from error


def _floors(group: Sequence[Task]) -> dict[str, Floor]:
    """Measure the floors of a group; a metric that two sets of these sizes are too small for has none."""
    first, second = group[0].floor_sides
    sizes = len(first), len(second)
    try:
        return {name: Floor(sizes, values) for name, values in _measure(group, first, second).items()}
    except ValueError:
        if len(group) == 1:
            return {group[0].name: Floor(sizes, {})}
        return {name: floor for task in group for name, floor in _floors([task]).items()}


def _intervals(
    group: Sequence[Task], values: dict[str, dict[str, float]], repeats: int, seed: int
) -> dict[str, tuple[dict[str, Interval], str]]:
    """Measure the confidence intervals of a group; a metric that halves are too small for has none, and a reason."""

    def numbers(real: Tensor, fake: Tensor) -> dict[tuple[str, str], float]:
        return _apart(_measure(group, real, fake))

    known = _apart({task.name: values[task.name] for task in group})
    try:
        intervals = intervals_of(numbers, group[0].real, group[0].fake, known, repeats, seed)
    except ValueError as error:  # of a half: all samples together gave the numbers
        if len(group) == 1:
            return {group[0].name: ({}, first_line(error))}
        return {name: own for task in group for name, own in _intervals([task], values, repeats, seed).items()}
    found: dict[str, tuple[dict[str, Interval], str]] = {task.name: ({}, "") for task in group}
    for (name, key), interval in intervals.items():
        found[name][0][key] = interval
    return found


def _apart(values: dict[str, dict[str, float]]) -> dict[tuple[str, str], float]:
    """Return numbers by metric and name, so that equal names of two metrics stay apart."""
    return {(name, key): value for name, own in values.items() for key, value in own.items()}


def two_sets(real: Tensor, n_real: int, n_fake: int, seed: int) -> tuple[Tensor, Tensor]:
    """Choose two disjoint sets of real images, of the sizes of a number itself, or halves if there are too few.

    Args:
        real: inputs of all real images.
        n_real: number of real images that the number is measured with.
        n_fake: number of generated images that the number is measured with.
        seed: seed of the choice.
    """
    half = len(real) // 2
    sizes = (n_real, n_fake) if n_real + n_fake <= len(real) else (half, half)
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed)).to(real.device)
    return real[order[: sizes[0]]], real[order[sizes[0] : sum(sizes)]]
