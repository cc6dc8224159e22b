"""Diversity of generated images, compared with real ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

SIDE = 16
"""Images are averaged down to this size, in pixels: a collapse is visible at it, and larger images cost more."""
NEAR = 0.5
"""Two generated images are near-duplicates below this times the smallest distance between two real images."""


def pixels(images: Tensor) -> Tensor:
    """Average images (N, C, H, W) down to at most `SIDE` x `SIDE` pixels and flatten them: (N, D), float32."""
    small = images.float()
    if small.shape[-1] > SIDE:
        small = adaptive_avg_pool2d(small, SIDE)
    return small.flatten(1)


def diversity(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Compute two signals of mode collapse.

        diversity  = mean distance of two generated images / mean distance of two real images
        duplicates = share of generated images with a near-duplicate among the others (see `NEAR`)

    Diversity is about 1 for a healthy generator and 0 if all its images are the same.

    Args:
        real: features (N, D) of real images, such as `pixels`.
        fake: features (M, D) of generated images of the same classes.

    Returns:
        Scalar tensors by name, on the features' device.
    """
    between_real, between_fake = torch.pdist(real), torch.pdist(fake)
    closest = torch.cdist(fake, fake, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf).amin(1)
    return {
        "diversity": between_fake.mean() / between_real.mean().clamp_min(1e-12),
        "duplicates": (closest < NEAR * between_real.amin()).float().mean(),
    }
