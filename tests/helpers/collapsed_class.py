"""A generator that is collapsed within one class."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.audit.planted import Honest


class CollapsedClass(Honest):
    """Real images of all classes but one, of which it has a single image.

    Args:
        images: images (N, C, H, W) in [-1, 1].
        labels: classes (N,).
        collapsed: the class with a single image.
        noise: standard deviation of the noise added to each sample of the single image.
    """

    def __init__(self, images: Tensor, labels: Tensor, collapsed: int, noise: float = 0.0) -> None:
        super().__init__(images, labels)
        indices = (labels == collapsed).nonzero()[:, 0]
        rng = torch.Generator().manual_seed(0)
        copies = images[indices[:1]] + noise * torch.randn(len(indices), *images.shape[1:], generator=rng)
        self.images = images.index_copy(0, indices, copies.clamp(-1, 1))
