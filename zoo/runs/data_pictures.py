"""Pictures of the report on a folder of images: what a square cuts off, and pairs of near-duplicates."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from zoo.data.image_files import ImageFiles
from zoo.data.near_duplicates import NearDuplicates
from zoo.data.raster import UNDECODABLE
from zoo.data.survey import LONG, Survey
from zoo.rendering import pictures

CUT, CUT_SIDE, CUT_COLUMNS = 12, 144, 6
"""Images that show what is cut off, the side of their cells in pixels, and how many stand in a row."""
PAIRS, PAIR_COLUMNS = 30, 5
"""Pairs of near-duplicates that are shown, and how many stand in a row."""
DIM = 0.25
"""Brightness of what is cut off."""


def png(picture: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def crops(source: ImageFiles, found: Survey) -> Image.Image:
    """Draw the longest images whole, with what the square leaves out made dark."""
    listing = source.listing()
    sizes = found.sizes.astype(float)
    ratios = np.divide(sizes.max(1), sizes.min(1), out=np.zeros(len(sizes)), where=sizes.min(1) > 0)
    chosen = [int(i) for i in np.argsort(-ratios, kind="stable")[: 4 * CUT] if ratios[i] > LONG]
    cells: list[Image.Image] = []
    for i in chosen:
        if len(cells) == CUT:
            break
        try:
            cells.append(_cell(listing.open(listing.names.index(found.names[i])), source.rendering.background))
        except UNDECODABLE:
            continue
    columns, step = min(CUT_COLUMNS, max(1, len(cells))), CUT_SIDE + pictures.MARGIN
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) + pictures.MARGIN for row in rows]
    canvas = Image.new("RGBA", (columns * step, max(1, sum(heights))))
    for k, row in enumerate(rows):
        for column, cell in enumerate(row):
            canvas.paste(cell, (column * step + (CUT_SIDE - cell.width) // 2, sum(heights[:k])))
    return canvas


def _cell(image: Image.Image, background: str) -> Image.Image:
    """Draw an image whole; outside the centred square it is dark."""
    image.draft("RGB", (2 * CUT_SIDE, 2 * CUT_SIDE))
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    upright.thumbnail((CUT_SIDE, CUT_SIDE))
    whole = Image.alpha_composite(Image.new("RGBA", upright.size, background), upright).convert("RGB")
    dark = Image.eval(whole, lambda value: int(value * DIM))
    side = min(whole.size)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    dark.paste(whole.crop((left, top, left + side, top + side)), (left, top))
    return dark


def pairs(source: ImageFiles, duplicates: NearDuplicates, leaking: NDArray[np.int64]) -> Image.Image:
    """Draw pairs of near-duplicates side by side, those that the split parts first, the likest and the least alike."""
    parts = np.isin(duplicates.first, leaking) != np.isin(duplicates.second, leaking)
    order = np.lexsort((-duplicates.likeness, ~parts))
    most = order[: max(int(parts.sum()), min(PAIRS, len(order)))]
    chosen = most[np.linspace(0, len(most) - 1, min(PAIRS, len(most))).astype(int)]
    indices = np.stack([duplicates.first[chosen], duplicates.second[chosen]], 1).ravel()
    images = source.pool.images[indices]
    cells = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return pictures.grid(cells, 2 * min(PAIR_COLUMNS, len(chosen)))
