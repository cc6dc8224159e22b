"""Images of one origin, held as bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from torch import Tensor

from zoo.data.pool import to_float

MIRRORED = "mirrored "  # prefix of the name of an image set whose images are flipped horizontally


@dataclass(frozen=True)
class ImageSet:
    """Images of one origin.

    Args:
        name: `train`, `held_out` or `generated`, with the prefix `mirrored ` if the images are flipped horizontally.
        pixels: images (N, C, H, W), uint8.
        labels: class indices (N,), or None.
    """

    name: str
    pixels: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, rows: slice | Tensor = slice(None)) -> Tensor:
        """Return some or all images as float in [-1, 1]."""
        return to_float(self.pixels[rows])

    def take(self, indices: Tensor) -> ImageSet:
        """Return the images at these indices, in this order."""
        return ImageSet(self.name, self.pixels[indices], None if self.labels is None else self.labels[indices])

    def mirrored(self) -> ImageSet:
        """Return the images flipped horizontally."""
        return ImageSet(f"{MIRRORED}{self.name}", self.pixels.flip(3), self.labels)

    @property
    def digest(self) -> str:
        """The digest of all pixels."""
        content = hashlib.blake2b(str(tuple(self.pixels.shape)).encode(), digest_size=16)
        content.update(self.pixels.contiguous().numpy().data)
        return content.hexdigest()


def digests(image_set: ImageSet) -> list[bytes]:
    """Compute one digest for each image; digests are equal for images that are equal pixel for pixel."""
    rows = image_set.pixels.flatten(1).numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
