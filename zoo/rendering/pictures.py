"""Pictures of samples and numbers: grids, strips over time, scatter plots and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from zoo.io.files import atomic_write
from zoo.layers.levels import quantised

MARGIN = 2  # white pixels between cells
SMALLEST_CELL = 48  # pixels to which small images are enlarged, by an integer factor and without smoothing


def to_uint8(images: Tensor) -> Tensor:
    """Convert images (N, C, H, W) in [-1, 1] to uint8, rounded to the nearest value; those of uint8 stay the same."""
    if images.dtype == torch.uint8:
        return images.detach().cpu()
    return quantised(images).to(torch.uint8).cpu()


def grid(images: Tensor, columns: int) -> Image.Image:
    """Draw images (N, C, H, W) in [-1, 1] in rows of `columns`; points (N, 2, 1, 1) become a scatter plot."""
    if images.shape[1:] == (2, 1, 1):
        return scatter(images)
    cells = to_uint8(images)
    factor = max(1, SMALLEST_CELL // cells.shape[-1])
    cells = cells.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    if cells.shape[1] != 3:  # grey, or more channels than a picture has: show the first channel
        cells = cells[:, :1].expand(-1, 3, -1, -1)
    size = cells.shape[-1] + MARGIN
    rows = -(-len(cells) // columns)
    canvas = np.full((rows * size + MARGIN, columns * size + MARGIN, 3), 255, dtype=np.uint8)
    for i, cell in enumerate(cells.permute(0, 2, 3, 1).numpy()):
        top, left = (i // columns) * size + MARGIN, (i % columns) * size + MARGIN
        canvas[top : top + size - MARGIN, left : left + size - MARGIN] = cell
    return Image.fromarray(canvas)


def single(image: Tensor) -> Image.Image:
    """Draw one image (C, H, W) in [-1, 1] at its own size; grey unless it has three channels."""
    pixels = to_uint8(image[None])[0].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])


def scatter(points: Tensor, size: int = 384) -> Image.Image:
    """Draw points (N, 2, 1, 1) with coordinates in [-1, 1] as dots on a white square of `size` pixels."""
    canvas = np.full((size, size, 3), 255, dtype=np.uint8)
    pixels = ((points.detach().float().cpu().flatten(1).clamp(-1, 1) + 1) / 2 * (size - 3)).round().long().numpy()
    for dx in (0, 1, 2):
        for dy in (0, 1, 2):
            canvas[size - 1 - pixels[:, 1] - dy, pixels[:, 0] + dx] = (31, 85, 160)
    return Image.fromarray(canvas)


def matrix(values: NDArray[np.floating], rows: Sequence[str], columns: Sequence[str]) -> Image.Image:
    """Draw a table (R, C) of numbers; the larger a number, the darker the blue behind it.

    Args:
        values: the numbers (R, C).
        rows: names of the R rows, on the left.
        columns: names of the C columns, at the top.
    """
    height, width, edge = 36, 84, 72
    canvas = Image.new("RGB", (edge + width * len(columns), height * (len(rows) + 1)), "white")
    draw = ImageDraw.Draw(canvas)
    low, span = float(values.min()), float(values.max() - values.min()) or 1.0
    for j, name in enumerate(columns):
        draw.text((edge + width * (j + 0.5), height / 2), name, "black", anchor="mm")
    for i, name in enumerate(rows):
        top = height * (i + 1)
        draw.text((edge / 2, top + height / 2), name, "black", anchor="mm")
        for j, value in enumerate(values[i]):
            depth = (float(value) - low) / span
            left = edge + width * j
            shade = tuple(round(255 + depth * (end - 255)) for end in (31, 85, 160))
            draw.rectangle((left, top, left + width - MARGIN, top + height - MARGIN), shade)
            ink = "white" if depth > 0.5 else "black"
            draw.text((left + width / 2, top + height / 2), f"{value:.3f}", ink, anchor="mm")
    return canvas


def evolution(pictures: Sequence[Image.Image], row_height: int | None = None) -> Image.Image:
    """Join pictures of the same latents over time: the top rows below each other, or all pictures side by side.

    Args:
        pictures: pictures of one size, oldest first.
        row_height: height of the part at the top of each picture that is taken, in pixels; None joins whole pictures
            side by side.
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
    """Write a picture atomically, in the format that the suffix of the path names.

    Args:
        picture: the picture.
        path: path of the file.
        options: further arguments of `Image.save`.
    """
    with atomic_write(path) as scratch:
        picture.save(scratch, **options)  # type: ignore[arg-type]
