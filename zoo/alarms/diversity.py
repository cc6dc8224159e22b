"""How different generated images are from each other, beside real ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

SIDE = 16
"""Images are averaged down to this size: what collapses does so in the coarse, and larger ones cost more."""
NEAR = 0.5
"""Two generated images are near-duplicates when they are closer than this times the closest two real ones."""


def pixels(images: Tensor) -> Tensor:
    """Coarse pixels (N, D) of images (N, C, H, W), float32."""
    small = images.float()
    if small.shape[-1] > SIDE:
        small = adaptive_avg_pool2d(small, SIDE)
    return small.flatten(1)


def diversity(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Two numbers that fall and rise when a generator collapses, as tensors on the images' device.

    `diversity` is the mean distance of two generated images over that of two real ones, about 1 in health and 0 when
    all images are the same. `duplicates` is the share of generated images that have a near-duplicate among the others.

    Args:
        real: features (N, D) of real images, such as `pixels`.
        fake: and of generated ones (M, D), of the same classes.
    """
    between_real, between_fake = torch.pdist(real), torch.pdist(fake)
    closest = torch.cdist(fake, fake, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf).amin(1)
    return {
        "diversity": between_fake.mean() / between_real.mean().clamp_min(1e-12),
        "duplicates": (closest < NEAR * between_real.amin()).float().mean(),
    }
