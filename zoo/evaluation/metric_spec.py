"""What a name of `metrics=` stands for: a metric of this library, or one of the user's own by its class path."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from zoo.config.building import build
from zoo.config.class_names import find_class
from zoo.errors import FeatureError
from zoo.metrics import FeatureMetric

Modes = tuple[Tensor, float]
"""Centres (K, D) and standard deviation of points with known modes."""
INPUTS = ("values", "logits", "classes")
Training = Literal["", "instead", "beside"]
"""Whether a metric needs the features of training images: not, in place of the real images, or beside them."""


@dataclass(frozen=True)
class MetricSpec:
    """Specification of one name of `metrics=`.

    Args:
        description: the metric and its settings; recorded in the protocol.
        input: input of the metric: `values` (features), `logits`, `classes` (the largest logit), `images` (the
            features of extractor `pixels` in the shape of images), or `spatial` (features of extractor
            `inception-spatial`).
        keys: names of the reported results, each with whether higher is better; empty for all that the metric computes.
        make: function from the input's width, the smaller number of samples, and the known modes or None, to a new
            metric.
        has_intervals: whether random halves give a valid confidence interval.
        higher_is_better: whether higher is better for results that `keys` does not name.
        train: whether training images take the place of the real ones, or are needed beside held-out ones.
    """

    description: str
    input: Literal["values", "logits", "classes", "images", "spatial"]
    keys: dict[str, bool]
    make: Callable[[int, int, Modes | None], FeatureMetric]
    has_intervals: bool = True
    higher_is_better: bool = False
    train: Training = ""


def own_metric(path: str) -> MetricSpec:
    """Return the specification of a metric of the user's own.

    The class extends `zoo.metrics.FeatureMetric`. Its constructor takes nothing, or `width`, the number of features. It
    may have the attributes `input` (`values`, `logits` or `classes`), `keys` and `has_intervals` of `MetricSpec`.

    Args:
        path: import path of the class, such as `my_ideas.Mine`.

    Raises:
        UserError: if there is no such class, or it is no metric that can be measured.
    """
    metric = find_class(path)
    if not (isinstance(metric, type) and issubclass(metric, FeatureMetric)):
        raise FeatureError(
            f"metrics: {path} is no metric of features. Extend zoo.metrics.FeatureMetric or zoo.metrics.StoredFeatures"
        )
    if inspect.isabstract(metric):
        raise FeatureError(f"metrics: {path} lacks {', '.join(sorted(metric.__abstractmethods__))}")
    if metric.higher_is_better is None:
        raise FeatureError(f"metrics: {path}: set the class attribute higher_is_better to True or False")
    parameters = inspect.signature(metric).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if [name for name in needed if name != "width"]:
        raise FeatureError(
            f"metrics: {path}({', '.join(needed)}): only width, the number of features, is handed over. Give the other "
            "arguments defaults"
        )
    kind: Any = getattr(metric, "input", "values")
    if kind not in INPUTS:
        raise FeatureError(f"metrics: {path}.input: one of {', '.join(INPUTS)}; got {kind!r}")
    with_width = any(p.name == "width" for p in parameters)
    return MetricSpec(
        " ".join((metric.__doc__ or path).strip().partition("\n\n")[0].split()),
        kind,
        dict(getattr(metric, "keys", {})),
        lambda width, n, modes: build(metric, {"width": width} if with_width else {}, f"metrics: {path}"),
        bool(getattr(metric, "has_intervals", True)),
        bool(metric.higher_is_better),
    )
