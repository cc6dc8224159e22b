"""Sampling from a trained model: images, truncation, interpolations, grids and standing statistics."""

from zoo.sampling.images import (
    Labels,
    TruncationBy,
    checked_labels,
    in_batches,
    interpolate,
    render,
    sample,
    slerp,
    truncated,
)
from zoo.sampling.standing_statistics import standing_statistics

__all__ = [
    "Labels",
    "TruncationBy",
    "checked_labels",
    "in_batches",
    "interpolate",
    "render",
    "sample",
    "slerp",
    "standing_statistics",
    "truncated",
]
