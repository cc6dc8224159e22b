"""Callbacks: sample grids, checkpoints, metrics, alarms, progress, stopping. Intervals are counted in images seen."""

from zoo.alarms.callback import Alarms
from zoo.callbacks.duality import DualityGapEvery
from zoo.callbacks.every import Every
from zoo.callbacks.metrics import SampleMetrics
from zoo.callbacks.mixture import MixtureReport
from zoo.callbacks.progress import RunProgress
from zoo.callbacks.samples import SampleGrid
from zoo.callbacks.saving import SaveEvery
from zoo.callbacks.stopping import StopAt, StopOnSignal
from zoo.callbacks.table import MetricsTable

__all__ = [
    "Alarms",
    "DualityGapEvery",
    "Every",
    "MetricsTable",
    "MixtureReport",
    "RunProgress",
    "SampleGrid",
    "SampleMetrics",
    "SaveEvery",
    "StopAt",
    "StopOnSignal",
]
