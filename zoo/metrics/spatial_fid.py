"""Spatial Fréchet distance (sFID; Nash et al. 2021, arXiv:2103.03841)."""

from __future__ import annotations

from torch import Tensor

from zoo.metrics.fid import FID

CHANNELS = 7


class SpatialFID(FID):
    """Fréchet distance between maps of an inner layer, of which positions are kept. Lower is better, 0 is best.

    The pooled features of the FID have lost where things are in the image; sFID compares the first seven channels of a
    convolution of Inception's block `mixed_6` (7 x 17 x 17 = 2023 features), before pooling. Published numbers are of
    the network of 2015-12-05 and the layer `mixed_6/conv`, as in the evaluation of ADM (openai/guided-diffusion).
    Everything else is as in `FID`.

    Args:
        width: number of features of a sample after taking the channels: 2023.
        name: name of the result.

    Example:
        >>> import torch
        >>> from zoo.metrics import SpatialFID
        >>> maps = torch.randn(50, 16, 2, 2, generator=torch.Generator().manual_seed(0))
        >>> metric = SpatialFID(width=28)
        >>> metric.update(maps, real=True)
        >>> metric.update(maps + 0.5, real=False)
        >>> round(metric.compute()["sfid"].item(), 4)  # 28 features, each 0.5 apart
        7.0
    """

    def __init__(self, width: int = 2023, name: str = "sfid") -> None:
        super().__init__(width, name)

    def update(self, features: Tensor, real: bool) -> None:
        """Add a batch of maps to the moments.

        Args:
            features: maps (B, C, H, W), of which the first seven channels count, or their features (B, D).
            real: whether they are of real samples or of generated ones.
        """
        super().update(features[:, :CHANNELS].flatten(1) if features.dim() == 4 else features, real)
