"""What happens beside the training: pictures, checkpoints, progress, stopping. Everything follows the clock."""

from zoo.callbacks.every import Every
from zoo.callbacks.metrics import SampleMetrics
from zoo.callbacks.progress import RunProgress
from zoo.callbacks.samples import SampleGrid
from zoo.callbacks.saving import SaveEvery
from zoo.callbacks.stopping import StopAt, StopOnSignal
from zoo.callbacks.table import MetricsTable

__all__ = [
    "Every",
    "MetricsTable",
    "RunProgress",
    "SampleGrid",
    "SampleMetrics",
    "SaveEvery",
    "StopAt",
    "StopOnSignal",
]
