"""Numbers about samples, each with the protocol by which it was measured. Shared by the command and the callback."""

from zoo.evaluation.classification_accuracy import ClassificationAccuracy, classification_accuracy_score
from zoo.evaluation.labels import labels_like
from zoo.evaluation.numbers import METRICS, Number, measure_numbers
from zoo.evaluation.reals import Reals, default_extractor, reals_of

__all__ = [
    "METRICS",
    "ClassificationAccuracy",
    "Number",
    "Reals",
    "classification_accuracy_score",
    "default_extractor",
    "labels_like",
    "measure_numbers",
    "reals_of",
]
