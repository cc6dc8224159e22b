"""Read folders of images for an audit, at one size, with the size of each file and its class where that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zoo.audit.evidence.images import PART, ImageSet, check_labels
from zoo.audit.evidence.stored import split_images, store
from zoo.data.decode import UNDECODED, Rendering, render
from zoo.data.given_folder import faults_of, image_source, open_listed
from zoo.data.image_files import UNREADABLE, ImageFiles
from zoo.data.listing import described
from zoo.data.sizes import Sizes
from zoo.features.base_extractor import resized as shrunk_pixels

LOST = (UNDECODED, UNREADABLE)
"""Reasons for which images are left out that may belong to the set."""


@dataclass(frozen=True)
class FolderImages:
    """The images of a folder, with what its reader must be told.

    Args:
        images: the images.
        notes: what is likely a mistake, and images that are left out although they may belong to the set.
        left_out: all files that were left out, as numbers with their reasons; empty if none was.
    """

    images: ImageSet
    notes: tuple[str, ...]
    left_out: str


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images, or a file of them, that are listed but not decoded yet.

    Args:
        name: what the images are: `train`, `held_out` or `generated`.
        path: the folder, or the .zip, .npz or .npy file.
        files: the image files, sorted, those of an archive below its path; empty for an array.
        sizes: size of each image.
        reading: settings of `zoo.data.Folder` for reading the files, such as {"on_corrupt": "skip"}.
    """

    name: str
    path: Path
    files: tuple[Path, ...]
    sizes: Sizes
    reading: Mapping[str, Any] = field(default_factory=dict)

    def read(
        self, resolution: int, channels: int, labels: Tensor | None = None, class_names: tuple[str, ...] = ()
    ) -> FolderImages:
        """Decode all images into the cache, or take them from there.

        Args:
            resolution: height and width in pixels to which they are resized.
            channels: 3 for colour, 1 for grey.
            labels: class index of each file (N,), or None.
            class_names: names of the classes; empty if they have only numbers.

        Raises:
            UserError: for an image that cannot be decoded, or labels of another number.
        """
        known = None if labels is None else check_labels(labels, len(self.sizes.sizes), self.name, from_files=True)
        data = image_source(self.name, self.path, resolution, channels, self.reading)
        with faults_of(self.name):
            data.setup()
        pool = data.train.pool
        assert pool.kept is not None
        kept = torch.from_numpy(pool.kept)
        images = ImageSet(
            self.name,
            split_images(data.train),
            None if known is None else known[kept],
            class_names,
            torch.tensor(self.sizes.sides)[kept],
            tuple(self.files[i] for i in pool.kept) if self.files else (),
            data.rendering,
            positions=kept,
        )
        lost = {reason: pool.left_out[reason] for reason in LOST if reason in pool.left_out}
        notes = pool.facts.notes(channels=3)  # colour that is read in grey follows the subject
        return FolderImages(
            images, (*notes, *([f"left out: {described(lost)}"] if lost else [])), described(dict(pool.left_out))
        )


def list_folder(path: str | Path, name: str, reading: Mapping[str, Any] | None = None) -> ImageFolder:
    """List the images of a folder, an archive or an array, and read their sizes.

    Args:
        path: the folder, or the .zip, .npz or .npy file.
        name: what the images are: `train`, `held_out` or `generated`.
        reading: settings of `zoo.data.Folder` for reading the files.

    Raises:
        UserError: if there is no such folder, no image in it, or a setting is refused.
    """
    data = image_source(name, path, 1, 3, reading or {})
    with faults_of(name):
        files = tuple(data.files()) if isinstance(data, ImageFiles) else ()
        return ImageFolder(name, data.root, files, data.sizes(), dict(reading or {}))


def resized(images: ImageSet, size: int) -> ImageSet:
    """Resize images to another size in pixels, each in one step from its file, or from its pixels if it has no file."""
    if images.shape[-1] == size:
        return images
    rendering = replace(images.rendering or Rendering(size, images.shape[0]), resolution=size)

    def part(rows: range) -> Tensor:
        arrays = [render(_opened(images, i), rendering)[0] for i in rows]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    parts = (part(range(first, min(first + PART, len(images)))) for first in range(0, len(images), PART))
    return replace(images, stored=store(parts, len(images), images.name))


def shrunk(images: ImageSet, side: int) -> ImageSet:
    """Return images (N, C, H, W) shrunk to at most a height and width in pixels, from their pixels, with antialiasing.

    They are read in parts, so that memory grows neither with their number nor with their size.
    """
    if images.shape[-1] <= side:
        return images
    parts = (shrunk_pixels(part.float(), side).round().clamp(0, 255).to(torch.uint8) for part in images.parts())
    return replace(images, stored=store(parts, len(images), images.name), flipped=False)


def _opened(images: ImageSet, i: int) -> Image.Image:
    """Open the file of an image, or make an image of its pixels."""
    if images.files:
        return open_listed(images.files[i])
    pixels = images.rows(slice(i, i + 1))[0].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
