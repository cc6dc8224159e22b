"""Planted copies: training images changed in a known way."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad

from zoo.rendering.pictures import single, to_uint8

SHIFT = 1 / 8  # of the side
CROP = 0.8  # of the side
NOISE = 0.1  # standard deviation; black to white is 2
QUALITY = 40  # of JPEG
BRIGHTER = 0.25  # black to white is 2
BLEND = 0.7  # share of the training image

Change = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""A change of training images (N, C, H, W) in [-1, 1], beside as many other training images, by a generator."""


def exact(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Return the images."""
    return images


def noisy(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Add normal noise of standard deviation NOISE."""
    return (images + NOISE * torch.randn(images.shape, generator=rng)).clamp(-1, 1)


def jpeg(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Compress by JPEG of quality QUALITY."""
    return torch.cat([_compressed(image) for image in images])


def _compressed(image: Tensor) -> Tensor:
    file = BytesIO()
    single(image).save(file, "JPEG", quality=QUALITY)
    with Image.open(file) as picture:
        values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return values.view(1, *image.shape[1:], -1).permute(0, 3, 1, 2).float() / 127.5 - 1


def shifted(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Shift each image by SHIFT of its side to one of eight directions; the border is the mirrored edge."""
    side = images.shape[-1]
    distance = max(1, round(SHIFT * side))
    framed = pad(images, (distance,) * 4, mode="reflect")
    directions = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if (y, x) != (1, 1)]
    chosen = torch.randint(len(directions), (len(images),), generator=rng).tolist()
    starts = [(distance * directions[i][0], distance * directions[i][1]) for i in chosen]
    return torch.stack([image[:, y : y + side, x : x + side] for image, (y, x) in zip(framed, starts)])


def mirrored(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Exchange left and right."""
    return images.flip(3)


def cropped(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Cut out a square of CROP of the side at a random place, and enlarge it."""
    side = images.shape[-1]
    size = round(CROP * side)
    places = torch.randint(side - size + 1, (len(images), 2), generator=rng).tolist()
    parts = torch.stack([image[:, y : y + size, x : x + size] for image, (y, x) in zip(images, places)])
    return interpolate(parts, size=side, mode="bicubic", antialias=True).clamp(-1, 1)


def brightened(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Add BRIGHTER to all values."""
    return (images + BRIGHTER).clamp(-1, 1)


def blended(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Mix BLEND of each image with another training image."""
    return BLEND * images + (1 - BLEND) * others


def patched(images: Tensor, others: Tensor, rng: torch.Generator) -> Tensor:
    """Take the left half of one training image and the right half of another."""
    half = images.shape[-1] // 2
    return torch.cat([images[..., :half], others[..., half:]], 3)


CHANGES: dict[str, Change] = {
    "exact": exact,
    "noisy": noisy,
    "jpeg": jpeg,
    "shifted": shifted,
    "mirrored": mirrored,
    "cropped": cropped,
    "brightened": brightened,
    "blended": blended,
    "patched": patched,
}
"""Kinds of copies by name."""

DESCRIPTIONS = {
    "exact": "the training image itself",
    "noisy": f"noise of standard deviation {NOISE:g} (black to white is 2)",
    "jpeg": f"JPEG of quality {QUALITY}",
    "shifted": f"shifted by {SHIFT:.3g} of the side",
    "mirrored": "left and right exchanged",
    "cropped": f"{CROP:g} of the side cut out and enlarged",
    "brightened": f"brighter by {BRIGHTER / 2:.1%} of the range",
    "blended": f"{BLEND:.0%} of it, mixed with another training image",
    "patched": "halves of two training images",
}


def planted_copies(kind: str, images: Tensor, rng: torch.Generator) -> Tensor:
    """Change training images (N, C, H, W) in [-1, 1], and round them to 256 levels as files are.

    Args:
        kind: a key of CHANGES.
        images: the training images.
        rng: generator of what is random.
    """
    return to_uint8(CHANGES[kind](images, images.roll(1, 0), rng)).float() / 127.5 - 1
