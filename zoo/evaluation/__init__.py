"""Measured numbers about samples, each with its protocol. Used by `python -m zoo.evaluate` and `SampleMetrics`."""

from zoo.evaluation.classification_accuracy import ClassificationAccuracy, classification_accuracy_score
from zoo.evaluation.labels import labels_like
from zoo.evaluation.metric_table import METRICS
from zoo.evaluation.numbers import Number, measure_numbers
from zoo.evaluation.reference import ReferenceSet, default_extractor, reference_features

__all__ = [
    "METRICS",
    "ClassificationAccuracy",
    "Number",
    "ReferenceSet",
    "classification_accuracy_score",
    "default_extractor",
    "labels_like",
    "measure_numbers",
    "reference_features",
]
