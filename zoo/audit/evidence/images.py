"""Images of one origin, held as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os.path import commonpath
from pathlib import Path

import torch
from torch import Tensor

from zoo.audit.evidence.stored import Stored
from zoo.data.decode import Rendering
from zoo.data.pool import to_float
from zoo.errors import UserError
from zoo.io.files import printable

MIRRORED = "mirrored "  # prefix of the name of an image set whose images are flipped horizontally
PART = 256  # largest number of images in a part
PART_VALUES = 2**22  # largest number of values (pixels times channels) in a part, which bounds the memory of a question


@dataclass(frozen=True)
class ImageSet:
    """Images of one origin. Large sets are in a file; read them in `parts`, or a few at a time with `rows`.

    Args:
        name: `train`, `held_out` or `generated`, with the prefix `mirrored ` if the images are flipped horizontally.
        stored: images (N, C, H, W), uint8, in memory or in a file.
        labels: class indices (N,), or None.
        class_names: names of the classes; empty if they have only numbers.
        sides: shorter side (N,) in pixels of the file of each image, before it was resized; None if not from files.
        files: the files (N) of the images; empty if not from files.
        rendering: how the files are converted to pixels; None if not from files.
        flipped: whether the images are flipped horizontally when they are read.
        positions: index (N,) of each image in the set that was given, from which these were taken; None for all of it.
    """

    name: str
    stored: Stored
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    sides: Tensor | None = None
    files: tuple[Path, ...] = ()
    rendering: Rendering | None = None
    flipped: bool = False
    positions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> torch.Size:
        """The shape (C, H, W) of an image."""
        return self.stored.shape[1:]

    def class_name(self, number: int) -> str:
        """Return the name of a class, its number if it has no name."""
        return self.class_names[number] if number < len(self.class_names) else str(number)

    def name_of(self, i: int) -> str:
        """Return the path of an image below the folder of all files, or its index in the set that was given."""
        if self.files:
            return printable(self.files[i].relative_to(commonpath(file.parent for file in self.files)).as_posix())
        return str(i if self.positions is None else int(self.positions[i]))

    @property
    def pixels(self) -> Tensor:
        """All images (N, C, H, W), uint8, in memory, which may be too small for them; `parts` is not."""
        return self.rows(slice(None))

    def rows(self, chosen: slice | Tensor) -> Tensor:
        """Return the chosen images (n, C, H, W), uint8."""
        images = self.stored[chosen]
        return images.flip(3) if self.flipped else images

    def images(self, rows: slice | Tensor = slice(None)) -> Tensor:
        """Return some or all images as float in [-1, 1]."""
        return to_float(self.rows(rows))

    def parts(self, most: int = PART, values: int = PART_VALUES) -> Iterator[Tensor]:
        """Read all images in order, uint8, in parts of one image or of at most `most` images and `values` values."""
        size = max(1, min(most, values // self.shape.numel()))
        return (self.rows(slice(first, first + size)) for first in range(0, len(self), size))

    def take(self, indices: Tensor) -> ImageSet:
        """Return the images at these indices, in this order."""
        stored = self.stored[indices] if isinstance(self.stored, Tensor) else self.stored.take(indices)
        labels, sides = (None if values is None else values[indices] for values in (self.labels, self.sides))
        positions = indices if self.positions is None else self.positions[indices]
        files = tuple(self.files[i] for i in indices.tolist()) if self.files else ()
        return replace(self, stored=stored, labels=labels, sides=sides, files=files, positions=positions)

    def mirrored(self) -> ImageSet:
        """Return the images flipped horizontally."""
        return replace(self, name=f"{MIRRORED}{self.name}", flipped=not self.flipped)

    @property
    def digest(self) -> str:
        """The digest of all pixels."""
        content = hashlib.blake2b(str((len(self), *self.shape)).encode(), digest_size=16)
        for part in self.parts():
            content.update(part.contiguous().numpy().data)
        return content.hexdigest()


def check_labels(labels: Tensor, n: int, name: str, from_files: bool) -> Tensor:
    """Return class indices (N,) as int64 on the CPU.

    Args:
        labels: the class indices.
        n: number of images.
        name: name of the image set, for the message.
        from_files: whether the images are files, whose order the message then gives.

    Raises:
        UserError: unless there is one for each image, a whole number that is not negative.
    """
    if len(labels) != n:
        order = ", in the order of the sorted paths" if from_files else ""
        raise UserError(f"labels: one for each image of {name}, {n:,}; got {len(labels):,}{order}")
    given = torch.as_tensor(labels).cpu()
    classes = given.long()
    if n and not (bool((classes == given).all()) and int(classes.min()) >= 0):
        wrong = given[(classes != given) | (classes < 0)][0].item()
        raise UserError(f"labels: classes of {name} are whole numbers from 0 on; got {wrong}")
    return classes


class FloatImages:
    """The images of a set as float in [-1, 1], indexed as a tensor is; they are read when they are asked for.

    Args:
        chosen: the images.
    """

    def __init__(self, chosen: ImageSet) -> None:
        self.chosen = chosen

    @property
    def shape(self) -> torch.Size:
        """The shape (N, C, H, W)."""
        return torch.Size((len(self.chosen), *self.chosen.shape))

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Return images (n, C, H, W)."""
        return self.chosen.images(rows)


def digests(image_set: ImageSet) -> list[bytes]:
    """Compute one digest for each image; digests are equal for images that are equal pixel for pixel."""
    rows = (row for part in image_set.parts() for row in part.flatten(1).numpy())
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def mirror_invariant(plain: list[bytes], part: ImageSet) -> list[bytes]:
    """Return digests that are equal for an image and its mirror image, from the digests of the images of a part."""
    return [min(both) for both in zip(plain, digests(part.mirrored()))]
