"""Changes that a copy may have undergone: to plant copies of a known kind, and to measure how many are found."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from zoo.data.pool import to_float
from zoo.rendering.pictures import to_uint8

SHIFT = 1 / 8  # largest shift as a share of the side
CROP = 0.8  # side of a crop as a share of the side
QUALITY = 40  # of re-encoded images, as JPEG
GAIN, OFFSET = 1.1, 0.1  # contrast and brightness of brightened images, whose pixels are in [-1, 1]
BLEND = 0.7  # weight of the copied image in a blend

Change = Callable[[Tensor, torch.Generator], Tensor]


def shifted(images: Tensor, rng: torch.Generator) -> Tensor:
    """Shift each image by `SHIFT` of its side, in both directions; border pixels are repeated."""
    height, width = images.shape[-2:]
    y, x = round(SHIFT * height), round(SHIFT * width)
    padded = pad(images, (x, x, y, y), mode="replicate")
    ends = (torch.randint(0, 2, (len(images), 2), generator=rng) * torch.tensor([2 * y, 2 * x])).tolist()
    return torch.stack([image[:, i : i + height, j : j + width] for image, (i, j) in zip(padded, ends)])


def mirrored(images: Tensor, rng: torch.Generator) -> Tensor:
    """Flip each image horizontally."""
    return images.flip(3)


def cropped(images: Tensor, rng: torch.Generator) -> Tensor:
    """Cut out a random part of `CROP` of the side, and enlarge it to the size of the image."""
    middles = (torch.rand(len(images), 2, generator=rng) * 2 - 1) * (1 - CROP)
    rows = torch.zeros(len(images), 2, 3)
    rows[:, 0, 0] = rows[:, 1, 1] = CROP
    rows[:, :, 2] = middles
    grid = affine_grid(rows, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


def reencoded(images: Tensor, rng: torch.Generator) -> Tensor:
    """Encode each image as JPEG of `QUALITY`, and decode it; images of 1 or 3 channels."""
    decoded = []
    for pixels in to_uint8(images).permute(0, 2, 3, 1).numpy():
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(buffer, "JPEG", quality=QUALITY)
        with Image.open(buffer) as picture:
            decoded.append(np.asarray(picture).reshape(pixels.shape))
    return to_float(torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2))


def brightened(images: Tensor, rng: torch.Generator) -> Tensor:
    """Raise contrast and brightness; what becomes brighter than white is white."""
    return (GAIN * images + OFFSET).clamp(-1, 1)


def blended(images: Tensor, rng: torch.Generator) -> Tensor:
    """Mix each image with another of them, at the weights `BLEND` and 1 - `BLEND`."""
    step = 1 + int(torch.randint(max(1, len(images) - 1), (), generator=rng))
    return BLEND * images + (1 - BLEND) * images.roll(step, 0)


CHANGES: dict[str, Change] = {
    "shifted": shifted,
    "mirrored": mirrored,
    "cropped": cropped,
    "re-encoded": reencoded,
    "brightened": brightened,
    "blended": blended,
}
"""The changes by name. Each takes images (N, C, H, W) in [-1, 1] and a random generator."""


def changes_for(channels: int) -> dict[str, Change]:
    """Return the changes that images of so many channels can undergo."""
    return {name: change for name, change in CHANGES.items() if channels in (1, 3) or change is not reencoded}
