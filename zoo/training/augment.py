"""Differentiable augmentation, which keeps a discriminator from memorising a small training set.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738, equations 4 and 5:
every image that a loss sees, real or generated, is augmented at random, and the generator's gradient passes through the
augmentation. If only real images were augmented, the generator would learn to draw augmented images. The strengths are
the authors'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo.errors import did_you_mean
from zoo.training.batch import Batch

SHIFT = 0.125
"""Largest shift of `translation`, as a fraction of the image size."""
HOLE = 0.5
"""Side of the square that `cutout` hides, as a fraction of the image size."""


def color(images: Tensor) -> Tensor:
    """Shift brightness by -0.5 to 0.5, then scale saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    images = images + _uniform(images) - 0.5
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * _uniform(images))
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 0.5 + _uniform(images))


def translation(images: Tensor) -> Tensor:
    """Shift each image by up to an eighth of its size each way, in whole pixels; uncovered pixels are 0."""
    size = images.shape[-1]
    largest = int(size * SHIFT + 0.5)
    corner = torch.randint(0, 2 * largest + 1, (2, len(images), 1), device=images.device)
    rows, columns = corner + torch.arange(size, device=images.device)
    image = torch.arange(len(images), device=images.device)[:, None, None]
    # Channels last, so that one index picks all channels of a pixel.
    padded = pad(images, (largest,) * 4).permute(0, 2, 3, 1)
    moved: Tensor = padded[image, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cutout(images: Tensor) -> Tensor:
    """Set a square of half the size to 0; its centre lies anywhere, so part of the square may lie outside."""
    size = images.shape[-1]
    hole = int(size * HOLE + 0.5)
    corner = torch.randint(0, size + 1 - hole % 2, (2, len(images), 1), device=images.device) - hole // 2
    position = torch.arange(size, device=images.device)
    rows, columns = (position >= corner) & (position < corner + hole)
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {"color": color, "translation": translation, "cutout": cutout}


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Check the names of augmentations and return them as a tuple.

    Raises:
        ValueError: for an unknown name.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"augment takes {', '.join(KINDS)}, or nothing; got {kind!r}.{did_you_mean(kind, KINDS)}")
    return tuple(kinds)


def augmented(batch: Batch, kinds: Sequence[str]) -> Batch:
    """Return the batch with every image augmented independently, drawn from torch's random state."""
    images = batch.images
    for kind in kinds:
        images = KINDS[kind](images)
    return Batch(images, batch.labels, batch.latents) if kinds else batch


def _uniform(images: Tensor) -> Tensor:
    """Draw one number in [0, 1) for each image, (B, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
