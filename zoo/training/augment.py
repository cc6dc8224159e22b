"""Differentiable augmentation: with few images, what keeps a discriminator from learning them by heart.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738, equations 4 and 5:
every image that a loss sees, real or generated, is changed at random, and the generator's gradient goes back through
the change. Augmenting real images alone would teach the generator to draw augmented ones. Strengths are the authors'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo.errors import did_you_mean
from zoo.training.batch import Batch

SHIFT = 0.125
"""Part of the size by which `translation` moves an image at most."""
HOLE = 0.5
"""Part of the size that `cutout` hides."""


def color(images: Tensor) -> Tensor:
    """Brightness moved by up to half the unit, saturation by a factor of 0 to 2, contrast of 0.5 to 1.5."""
    images = images + _uniform(images) - 0.5
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * _uniform(images))
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 0.5 + _uniform(images))


def translation(images: Tensor) -> Tensor:
    """Moved by up to an eighth of the size each way, by whole pixels; what comes into view is 0."""
    size = images.shape[-1]
    most = int(size * SHIFT + 0.5)
    corner = torch.randint(0, 2 * most + 1, (2, len(images), 1), device=images.device)
    rows, columns = corner + torch.arange(size, device=images.device)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    # Channels last, so that one index picks all channels of a pixel.
    framed = pad(images, (most,) * 4).permute(0, 2, 3, 1)
    moved: Tensor = framed[each, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cutout(images: Tensor) -> Tensor:
    """A square of half the size set to 0; its centre lies anywhere, so that part of it may lie outside."""
    size = images.shape[-1]
    hole = int(size * HOLE + 0.5)
    corner = torch.randint(0, size + 1 - hole % 2, (2, len(images), 1), device=images.device) - hole // 2
    place = torch.arange(size, device=images.device)
    rows, columns = (place >= corner) & (place < corner + hole)
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {"color": color, "translation": translation, "cutout": cutout}


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Names of augmentations, each from (B, C, H, W) to the same shape.

    Raises:
        ValueError: for a name that is none.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"augment takes {', '.join(KINDS)}, or nothing; got {kind!r}.{did_you_mean(kind, KINDS)}")
    return tuple(kinds)


def augmented(batch: Batch, kinds: Sequence[str]) -> Batch:
    """The batch with each image changed in its own way, drawn from torch's random state."""
    images = batch.images
    for kind in kinds:
        images = KINDS[kind](images)
    return Batch(images, batch.labels) if kinds else batch


def _uniform(images: Tensor) -> Tensor:
    """One number in [0, 1) for each image, (B, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
