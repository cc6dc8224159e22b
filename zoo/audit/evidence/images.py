"""The two sets of real images of an audit: read, checked against each other, and held as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.subject import checked_range
from zoo.data.folder import Folder
from zoo.data.pool import Split, to_float
from zoo.errors import DataError, UserError
from zoo.rendering.pictures import to_uint8

OVERLAP_SHOWN = 5
MIRRORED = "mirrored "  # before the name of a part


@dataclass(frozen=True)
class ImageSet:
    """Images of one origin.

    Args:
        name: `train`, `held_out` or `generated`, with `mirrored ` before it where left and right are exchanged.
        pixels: (N, C, H, W) uint8.
        labels: (N,) class indices, or None.
    """

    name: str
    pixels: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, chosen: slice | Tensor = slice(None)) -> Tensor:
        """Float images in [-1, 1]."""
        return to_float(self.pixels[chosen])

    def take(self, chosen: Tensor) -> ImageSet:
        """Some of the images, in the order given."""
        return ImageSet(self.name, self.pixels[chosen], None if self.labels is None else self.labels[chosen])

    def mirrored(self) -> ImageSet:
        """The images with left and right exchanged."""
        return ImageSet(f"{MIRRORED}{self.name}", self.pixels.flip(3), self.labels)

    @property
    def digest(self) -> str:
        """Identifies the pixels."""
        content = hashlib.blake2b(str(tuple(self.pixels.shape)).encode(), digest_size=16)
        content.update(self.pixels.contiguous().numpy().data)
        return content.hexdigest()


def part_of(images: Any, name: str, labels: Tensor | None = None) -> ImageSet:
    """Images from a tensor (N, C, H, W) in [-1, 1] or uint8, a data set, a part of a `zoo.data` set, or a folder.

    Args:
        images: what to read; a folder is read at the size of its first image.
        name: of the part.
        labels: class indices (N,), where `images` does not hold them.

    Raises:
        UserError: for what is none of these, or images out of range.
    """
    if isinstance(images, ImageSet):
        return images
    if isinstance(images, str | Path):
        return _read_folder(Path(images), name)
    if isinstance(images, Split):
        batch = images.batch(torch.arange(len(images)))
        found, own = batch.images, batch.labels
    elif isinstance(images, Tensor):
        found, own = images, None
    elif hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        found, own = _read_dataset(images, name)
    else:
        raise UserError(
            f"{name}: a tensor of images (N, C, H, W), a data set, or a folder; got a {type(images).__name__}"
        )
    if found.ndim != 4:
        raise UserError(f"{name}: images are (N, C, H, W); got {tuple(found.shape)}")
    if found.dtype != torch.uint8:
        found = to_uint8(checked_range(found.float(), name))
    chosen = labels if labels is not None else own
    if chosen is not None and len(chosen) != len(found):
        raise UserError(f"labels: one for each image of {name}, {len(found):,}; got {len(chosen):,}")
    return ImageSet(name, found.contiguous().cpu(), None if chosen is None else chosen.long().cpu())


def _read_dataset(images: Any, name: str) -> tuple[Tensor, Tensor | None]:
    """A map-style data set of images or of (image, label) pairs."""
    rows = [images[i] for i in range(len(cast("Sized", images)))]
    pairs = [row if isinstance(row, tuple | list) else (row, -1) for row in rows]
    if not pairs or not all(isinstance(image, Tensor) for image, *_ in pairs):
        raise UserError(
            f"{name}: a data set whose items are tensors (C, H, W) in [-1, 1], or pairs of one and its class. With "
            "torchvision: transform=Compose([ToTensor(), Normalize(0.5, 0.5)])"
        )
    labels = torch.tensor([int(label) for _, label, *_ in pairs])
    return torch.stack([image for image, *_ in pairs]), labels if bool((labels >= 0).all()) else None


def _read_folder(folder: Path, name: str, resolution: int = 0, channels: int = 3) -> ImageSet:
    data = Folder(
        str(folder), resolution=resolution or _first_size(folder), channels=channels, held_out=0, batch_size=1
    )
    data.setup()
    return part_of(data.train, name)


def _first_size(folder: Path) -> int:
    """The shorter side of a folder's first image."""
    from PIL import Image

    with Image.open(Folder(str(folder), resolution=1, held_out=0).files()[0]) as image:
        return int(min(image.size))


def read_like(folder: Path, name: str, like: ImageSet) -> ImageSet:
    """A folder's images at the size and with the channels of another part."""
    _, channels, height, _ = like.pixels.shape
    return _read_folder(folder, name, height, channels)


def check_parts(train: ImageSet, held_out: ImageSet, allow_overlap: bool = False) -> None:
    """Whether two sets can be held against each other.

    Raises:
        DataError: when one is too small, shapes differ, or an image is in both.
    """
    for part in (train, held_out):
        if len(part) < 20:
            raise DataError(f"{part.name} has {len(part)} images; an audit needs at least 20 of each")
    if train.pixels.shape[1:] != held_out.pixels.shape[1:]:
        shapes = [tuple(part.pixels.shape[1:]) for part in (train, held_out)]
        raise DataError(
            f"train images are {shapes[0]} (C, H, W), held-out ones {shapes[1]}. Prepare both in the same way, "
            "or every distance measures the difference in preparation"
        )
    if allow_overlap:
        return
    both = overlap(train, held_out)
    if len(both) > max(1, len(held_out) // 100):
        places = ", ".join(str(int(i)) for i in both[:OVERLAP_SHOWN])
        raise DataError(
            f"{len(both):,} of {len(held_out):,} held-out images are also in the training set, pixel for pixel (places "
            f"{places}{', ...' if len(both) > OVERLAP_SHOWN else ''}). A null from them would hide copying. Hold out "
            "images that training never saw"
        )


def overlap(train: ImageSet, other: ImageSet) -> Tensor:
    """Places (K,) of images of `other` that are in `train`, pixel for pixel."""
    known = set(digests(train))
    return torch.tensor([i for i, digest in enumerate(digests(other)) if digest in known], dtype=torch.long)


def without_overlap(train: ImageSet, held_out: ImageSet) -> tuple[ImageSet, int]:
    """The held-out part without the images that training saw too, and how many those were."""
    both = overlap(train, held_out)
    if not len(both):
        return held_out, 0
    keep = np.setdiff1d(np.arange(len(held_out)), both.numpy())
    return held_out.take(torch.from_numpy(keep)), len(both)


def digests(part: ImageSet) -> list[bytes]:
    """One for each image; equal for images that are equal, pixel for pixel."""
    rows = part.pixels.flatten(1).numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
