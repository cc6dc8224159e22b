"""Sample-quality metrics over features, as `torchmetrics.Metric`s. One file each.

metric = zoo.metrics.FID(width=2048)
metric.update(real_features, real=True)
metric.update(generated_features, real=False)
metric.compute()  # {"fid": tensor(...)}
"""

from zoo.metrics.accumulate import FeatureMetric, StoredFeatures
from zoo.metrics.class_histogram import ClassHistogram
from zoo.metrics.density_coverage import DensityCoverage, density_and_coverage, expected_coverage
from zoo.metrics.fid import FID
from zoo.metrics.fid_infinity import FIDInfinity
from zoo.metrics.frechet import frechet_distance
from zoo.metrics.inception_score import InceptionScore
from zoo.metrics.intervals import Interval, bootstrap, floor
from zoo.metrics.kid import KID
from zoo.metrics.mode_count import ModeCount
from zoo.metrics.neighbours import NeighbourStatistics, Rule, neighbour_statistics
from zoo.metrics.prd import PRD
from zoo.metrics.precision_recall import PrecisionRecall, precision_and_recall

__all__ = [
    "FID",
    "KID",
    "PRD",
    "ClassHistogram",
    "DensityCoverage",
    "FIDInfinity",
    "FeatureMetric",
    "InceptionScore",
    "Interval",
    "ModeCount",
    "NeighbourStatistics",
    "PrecisionRecall",
    "Rule",
    "StoredFeatures",
    "bootstrap",
    "density_and_coverage",
    "expected_coverage",
    "floor",
    "frechet_distance",
    "neighbour_statistics",
    "precision_and_recall",
]
