"""Read folders of images for an audit, at one size, with the size of each file and its class where that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zoo.audit.evidence.images import PART, ImageSet
from zoo.audit.evidence.stored import split_images, store
from zoo.data.decode import to_square
from zoo.data.folder import Folder
from zoo.data.raster import open_raster
from zoo.data.sizes import Sizes, sizes_of
from zoo.errors import DataError, UserError
from zoo.io.files import with_home


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images whose files are listed but not decoded yet.

    Args:
        name: what the images are: `train`, `held_out` or `generated`.
        path: the folder.
        files: the image files, sorted.
        sizes: size of each file.
    """

    name: str
    path: Path
    files: tuple[Path, ...]
    sizes: Sizes

    def read(self, resolution: int, channels: int, labels: Tensor | None, class_names: tuple[str, ...]) -> ImageSet:
        """Decode all images into the cache, or take them from there.

        Args:
            resolution: height and width in pixels to which they are resized.
            channels: 3 for colour, 1 for grey.
            labels: class indices (N,), or None.
            class_names: names of the classes; empty if they have only numbers.

        Raises:
            UserError: for an image that cannot be decoded.
        """
        data = Folder(str(self.path), resolution=resolution, channels=channels, held_out=0, batch_size=1)
        try:
            data.setup()
        except DataError as error:
            advice = ", or set data.on_corrupt=skip to leave such images out"  # a setting that an audit does not have
            raise DataError(f"{self.name}: {error}".replace(advice, "")) from error
        sides = torch.tensor(self.sizes.sides)
        return ImageSet(self.name, split_images(data.train), labels, class_names, sides, self.files)


def list_folder(path: str | Path, name: str) -> ImageFolder:
    """List the images of a folder and read their sizes.

    Args:
        path: the folder.
        name: what the images are: `train`, `held_out` or `generated`.

    Raises:
        UserError: if there is no such folder, or no image in it.
    """
    folder = with_home(path)
    if not folder.is_dir():
        raise UserError(f"{name}: there is no folder {folder}. Give the path of a folder of images")
    try:
        files = tuple(Folder(str(folder), resolution=1, held_out=0).files())
        return ImageFolder(name, folder, files, sizes_of(files))
    except DataError as error:
        raise DataError(f"{name}: {error}".replace(" (data.root)", "")) from error


def resized(images: ImageSet, size: int) -> ImageSet:
    """Resize images to another size in pixels, each in one step from its file, or from its pixels if it has no file."""
    if images.shape[-1] == size:
        return images
    channels = images.shape[0]

    def part(rows: range) -> Tensor:
        arrays = [to_square(_opened(images, i), size, channels) for i in rows]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    parts = (part(range(first, min(first + PART, len(images)))) for first in range(0, len(images), PART))
    return replace(images, stored=store(parts, len(images), images.name))


def _opened(images: ImageSet, i: int) -> Image.Image:
    """Open the file of an image, or make an image of its pixels."""
    if images.files:
        return open_raster(images.files[i])
    pixels = images.rows(slice(i, i + 1))[0].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
