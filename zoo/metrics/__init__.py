"""Sample-quality metrics over features, as subclasses of `torchmetrics.Metric`, one module each.

A metric compares features (N, D) of real images with features (M, D) of generated ones. An extractor of `zoo.features`
turns images into features. Every metric is used in the same way:

>>> import torch
>>> from zoo import metrics
>>> real = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
>>> metric = metrics.FID(width=2)
>>> metric.update(real, real=True)
>>> metric.update(real + 2, real=False)
>>> {name: round(value.item(), 6) for name, value in metric.compute().items()}
{'fid': 8.0}
"""

from zoo.metrics.accumulate import FeatureMetric, StoredFeatures
from zoo.metrics.authenticity import Authenticity
from zoo.metrics.class_histogram import ClassHistogram
from zoo.metrics.clipped_density_coverage import ClippedDensityCoverage
from zoo.metrics.cmmd import CMMD
from zoo.metrics.data_copying import DataCopying
from zoo.metrics.density_coverage import DensityCoverage, density_and_coverage, expected_coverage
from zoo.metrics.distance_pass import Together, neighbour_statistics
from zoo.metrics.fid import FID
from zoo.metrics.fid_infinity import FIDInfinity
from zoo.metrics.fld import FLD
from zoo.metrics.frechet import frechet_distance
from zoo.metrics.inception_score import InceptionScore
from zoo.metrics.intervals import Interval, bootstrap, floor, half_sample_intervals
from zoo.metrics.kid import KID
from zoo.metrics.mifid import MiFID
from zoo.metrics.mind import MIND
from zoo.metrics.mode_count import ModeCount
from zoo.metrics.ms_ssim import MSSSIM
from zoo.metrics.neighbours import NeighbourStatistics, Rule
from zoo.metrics.prd import PRD
from zoo.metrics.precision_recall import PrecisionRecall, precision_and_recall
from zoo.metrics.rke import RKE
from zoo.metrics.sliced_wasserstein import SlicedWasserstein
from zoo.metrics.spatial_fid import SpatialFID
from zoo.metrics.vendi import Vendi

__all__ = [
    "CMMD",
    "FID",
    "FLD",
    "KID",
    "MIND",
    "MSSSIM",
    "PRD",
    "RKE",
    "Authenticity",
    "ClassHistogram",
    "ClippedDensityCoverage",
    "DataCopying",
    "DensityCoverage",
    "FIDInfinity",
    "FeatureMetric",
    "InceptionScore",
    "Interval",
    "MiFID",
    "ModeCount",
    "NeighbourStatistics",
    "PrecisionRecall",
    "Rule",
    "SlicedWasserstein",
    "SpatialFID",
    "StoredFeatures",
    "Together",
    "Vendi",
    "bootstrap",
    "density_and_coverage",
    "expected_coverage",
    "floor",
    "frechet_distance",
    "half_sample_intervals",
    "neighbour_statistics",
    "precision_and_recall",
]
