"""Grids of samples."""

from __future__ import annotations

import torch
from PIL import Image

from zoo.rendering import pictures
from zoo.sampling.images import sample
from zoo.sampling.protocol import GenerativeModel

POINTS = 2_000
"""Points in the plane that are drawn into one picture."""


def columns_of(model: GenerativeModel, columns: int = 0) -> int:
    """Return the columns of a grid: as given, or if 0, one for each class of a model with 2 to 16 classes, else 10."""
    return columns or (model.num_classes if 2 <= model.num_classes <= 16 else 10)


def draw(model: GenerativeModel, rows: int, columns: int, seed: int) -> Image.Image:
    """Draw a grid of samples from the averaged generator; a conditional model's classes run along the columns.

    Args:
        model: a trained model; of points in the plane, `POINTS` are drawn into one picture instead of a grid.
        rows: number of rows.
        columns: number of columns; 0 for a number that suits the model, see `columns_of`.
        seed: seed of the latents.
    """
    columns = columns_of(model, columns)
    count = POINTS if model.resolution == 1 else rows * columns
    labels = torch.arange(count) % columns % model.num_classes if model.num_classes else None
    return pictures.grid(sample(model, count, seed=seed, labels=labels), columns)
