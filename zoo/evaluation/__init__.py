"""Numbers about samples, each with the protocol by which it was measured. Shared by the command and the callback."""

from zoo.evaluation.classification_accuracy import ClassificationAccuracy, classification_accuracy_score
from zoo.evaluation.labels import labels_like
from zoo.evaluation.numbers import METRICS, Number, measure_numbers
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
