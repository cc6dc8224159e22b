"""Features for the tests of metrics."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.metrics import FeatureMetric


def gaussian(n: int, width: int, seed: int, *, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    """Independent normal features (n, width) in float32."""
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)) * deviation + mean


def correlated(n: int, width: int, seed: int, *, shift: float = 0.0) -> Tensor:
    """Non-negative, correlated features (n, width), as a network's last layer gives."""
    layer = torch.randn(8, width, generator=torch.Generator().manual_seed(99)) / 3
    return ((gaussian(n, 8, seed) + shift) @ layer + 0.1 * gaussian(n, width, seed + 1000)).relu()


def values(metric: FeatureMetric, real: Tensor, fake: Tensor, batch: int = 10_000) -> dict[str, float]:
    """A metric's numbers on two sets, fed in batches."""
    for features, is_real in ((real, True), (fake, False)):
        for part in torch.split(features, batch):
            metric.update(part, real=is_real)
    return {name: value.item() for name, value in metric.compute().items()}
