"""The first picture of a planned run: images of the folder as training will see them, before anything is measured."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.decode import square_of
from zoo.data.image_files import ImageFiles
from zoo.data.raster import UNDECODABLE
from zoo.rendering import pictures

ROWS, COLUMNS = 8, 10
"""Rows and columns of the picture, as those of the grids of samples."""
SPARE = 2
"""Files that are opened at most for each image of the picture, as some may be damaged."""


def save_first_look(source: ImageFiles, channels: int, resolution: int, path: Path) -> int:
    """Save a grid of images spread over the files, cut to squares on their background; return how many it shows.

    Only these images are decoded, so it takes a moment for a folder of any size. It is the same picture that
    `zoo.callbacks.SampleGrid` draws of the training images when training starts, but for the choice and the order of
    the images, and the mirrored ones among them.

    Args:
        source: the images.
        channels: 1 for grey, 3 for colour.
        resolution: height and width in pixels.
        path: file to write; folders above it are made.
    """
    listing = source.listing()
    rendering = replace(source.rendering, channels=channels, resolution=resolution)
    most = ROWS * COLUMNS
    order = np.linspace(0, len(listing.names) - 1, min(SPARE * most, len(listing.names))).astype(int)
    squares: list[NDArray[np.uint8]] = []
    for i in np.concatenate([order[::SPARE], order[1::SPARE]]).tolist():
        if len(squares) == most:
            break
        try:
            squares.append(square_of(listing.open(i), rendering))
        except UNDECODABLE:  # the survey counts them, and training leaves them out or stops there
            continue
    if squares:
        pictures.save(pictures.grid(torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2), COLUMNS), path)
    return len(squares)


def remove_first_look(path: Path) -> None:
    """Remove the picture, if it is there, and the folder that it was in, if nothing else is in there."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()
