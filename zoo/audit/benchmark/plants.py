"""Planted copies: training images changed in a known way."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.audit.statistics import changes
from zoo.audit.statistics.changes import BLEND, CROP, QUALITY, SHIFT, Change
from zoo.rendering.pictures import to_uint8

NOISE = 0.1  # standard deviation; black to white is 2


def exact(images: Tensor, rng: torch.Generator) -> Tensor:
    """Return the images."""
    return images


def noisy(images: Tensor, rng: torch.Generator) -> Tensor:
    """Add normal noise of standard deviation NOISE."""
    return (images + NOISE * torch.randn(images.shape, generator=rng)).clamp(-1, 1)


def patched(images: Tensor, rng: torch.Generator) -> Tensor:
    """Take the left half of each image and the right half of another."""
    half = images.shape[-1] // 2
    return torch.cat([images[..., :half], images.roll(1, 0)[..., half:]], 3)


CHANGES: dict[str, Change] = {"exact": exact, "noisy": noisy, **changes.CHANGES, "patched": patched}
"""Kinds of copies by name."""

DESCRIPTIONS = {
    "exact": "the training image itself",
    "noisy": f"noise of standard deviation {NOISE:g} (black to white is 2)",
    "re-encoded": f"JPEG of quality {QUALITY}",
    "shifted": f"shifted by {SHIFT:.3g} of the side",
    "mirrored": "left and right exchanged",
    "cropped": f"a part of {CROP:g} of the side, enlarged",
    "brightened": "more contrast and brighter by a twentieth of the range",
    "blended": f"{BLEND:.0%} of it, mixed with another training image",
    "patched": "halves of two training images",
}


def planted_copies(kind: str, images: Tensor, rng: torch.Generator) -> Tensor:
    """Change training images (N, C, H, W) in [-1, 1]; the copies are of uint8, as in files.

    Args:
        kind: a key of CHANGES.
        images: the training images.
        rng: generator of what is random.
    """
    return to_uint8(CHANGES[kind](images, rng))
