"""Pictures for people: grids, strips over time, animations, and points in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from zoo.io.files import atomic_write

MARGIN = 2  # pixels of white between cells
SMALLEST_CELL = 48  # tiny images are enlarged to about this many pixels by whole factors, without smoothing


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401 - only asks
    except ImportError:
        return False
    return True


def to_uint8(images: Tensor) -> Tensor:
    """(N, C, H, W) in [-1, 1] to uint8 in 0..255, rounded to nearest."""
    return images.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).cpu()


def grid(images: Tensor, columns: int) -> Image.Image:
    """Images (N, C, H, W) in [-1, 1] in rows of `columns`; points (N, 2, 1, 1) as a scatter plot."""
    if images.shape[1:] == (2, 1, 1):
        return scatter(images)
    cells = to_uint8(images)
    factor = max(1, SMALLEST_CELL // cells.shape[-1])
    cells = cells.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    if cells.shape[1] != 3:  # grey, or more channels than a picture has: the first is shown
        cells = cells[:, :1].expand(-1, 3, -1, -1)
    size = cells.shape[-1] + MARGIN
    rows = -(-len(cells) // columns)
    canvas = np.full((rows * size + MARGIN, columns * size + MARGIN, 3), 255, dtype=np.uint8)
    for i, cell in enumerate(cells.permute(0, 2, 3, 1).numpy()):
        top, left = (i // columns) * size + MARGIN, (i % columns) * size + MARGIN
        canvas[top : top + size - MARGIN, left : left + size - MARGIN] = cell
    return Image.fromarray(canvas)


def single(image: Tensor) -> Image.Image:
    """One image (C, H, W) in [-1, 1] at its own size; grey unless it has three channels."""
    pixels = to_uint8(image[None])[0].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])


def scatter(points: Tensor, size: int = 384) -> Image.Image:
    """Points (N, 2, 1, 1) with coordinates in [-1, 1] as dots on white."""
    canvas = np.full((size, size, 3), 255, dtype=np.uint8)
    places = ((points.detach().float().cpu().flatten(1).clamp(-1, 1) + 1) / 2 * (size - 3)).round().long().numpy()
    for dx in (0, 1, 2):
        for dy in (0, 1, 2):
            canvas[size - 1 - places[:, 1] - dy, places[:, 0] + dx] = (31, 85, 160)
    return Image.fromarray(canvas)


def matrix(values: NDArray[np.floating], rows: Sequence[str], columns: Sequence[str]) -> Image.Image:
    """A table (R, C) of numbers on shades of blue, the largest the darkest, with names at the left and on top."""
    high, wide, edge = 36, 84, 72
    canvas = Image.new("RGB", (edge + wide * len(columns), high * (len(rows) + 1)), "white")
    draw = ImageDraw.Draw(canvas)
    low, span = float(values.min()), float(values.max() - values.min()) or 1.0
    for j, name in enumerate(columns):
        draw.text((edge + wide * (j + 0.5), high / 2), name, "black", anchor="mm")
    for i, name in enumerate(rows):
        top = high * (i + 1)
        draw.text((edge / 2, top + high / 2), name, "black", anchor="mm")
        for j, value in enumerate(values[i]):
            depth = (float(value) - low) / span
            left = edge + wide * j
            shade = tuple(round(255 + depth * (end - 255)) for end in (31, 85, 160))
            draw.rectangle((left, top, left + wide - MARGIN, top + high - MARGIN), shade)
            ink = "white" if depth > 0.5 else "black"
            draw.text((left + wide / 2, top + high / 2), f"{value:.3f}", ink, anchor="mm")
    return canvas


def evolution(pictures: Sequence[Image.Image], row_height: int | None = None) -> Image.Image:
    """Top rows of pictures of one size under each other: how the same latents look over time.

    Args:
        pictures: the oldest first.
        row_height: pixels to take from the top of each; None takes whole pictures, side by side.
    """
    if row_height is None:
        joined = Image.new("RGB", (sum(p.width for p in pictures), pictures[0].height), "white")
        for i, picture in enumerate(pictures):
            joined.paste(picture, (i * pictures[0].width, 0))
        return joined
    joined = Image.new("RGB", (pictures[0].width, row_height * len(pictures)), "white")
    for i, picture in enumerate(pictures):
        joined.paste(picture.crop((0, 0, picture.width, row_height)), (0, i * row_height))
    return joined


def save(picture: Image.Image, path: Path, **options: object) -> None:
    """Write a picture, complete or not at all; the format follows from the ending."""
    with atomic_write(path) as scratch:
        picture.save(scratch, **options)  # type: ignore[arg-type]
