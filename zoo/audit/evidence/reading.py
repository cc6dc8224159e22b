"""Read image sets from tensors, data sets and folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.subject import checked_range
from zoo.data.folder import Folder
from zoo.data.pool import Split
from zoo.errors import UserError
from zoo.rendering.pictures import to_uint8


def read_image_set(images: Any, name: str, labels: Tensor | None = None) -> ImageSet:
    """Read an image set.

    Args:
        images: a tensor (N, C, H, W) in [-1, 1] or uint8, a map-style data set, a split of a `zoo.data` set, the path
            of a folder, which is read at the size of its first image, or an `ImageSet`, which is returned as it is.
        name: name of the image set, `train`, `held_out` or `generated`.
        labels: class indices (N,), which replace those of `images`; not used for an `ImageSet`.

    Raises:
        UserError: for anything else, or images out of range.
    """
    if isinstance(images, ImageSet):
        return images
    if isinstance(images, str | Path):
        return _read_folder(Path(images), name)
    if isinstance(images, Split):
        batch = images.batch(torch.arange(len(images)))
        pixels, own_labels = batch.images, batch.labels
    elif isinstance(images, Tensor):
        pixels, own_labels = images, None
    elif hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        pixels, own_labels = _read_dataset(images, name)
    else:
        raise UserError(
            f"{name}: a tensor of images (N, C, H, W), a data set, or a folder; got a {type(images).__name__}"
        )
    if pixels.ndim != 4:
        raise UserError(f"{name}: images are (N, C, H, W); got {tuple(pixels.shape)}")
    if pixels.dtype != torch.uint8:
        pixels = to_uint8(checked_range(pixels.float(), name))
    labels = labels if labels is not None else own_labels
    if labels is not None and len(labels) != len(pixels):
        raise UserError(f"labels: one for each image of {name}, {len(pixels):,}; got {len(labels):,}")
    return ImageSet(name, pixels.contiguous().cpu(), None if labels is None else labels.long().cpu())


def read_folder_like(folder: Path, name: str, like: ImageSet) -> ImageSet:
    """Read a folder of images at the size and with the channels of another image set.

    Args:
        folder: folder of images.
        name: name of the image set.
        like: image set whose size and channels are taken.
    """
    _, channels, height, _ = like.pixels.shape
    return _read_folder(folder, name, height, channels)


def _read_dataset(images: Any, name: str) -> tuple[Tensor, Tensor | None]:
    """Read a map-style data set of images or of pairs of an image and its class.

    Returns:
        Images (N, C, H, W), and class indices (N,) or None.

    Raises:
        UserError: when an image is no tensor.
    """
    rows = [images[i] for i in range(len(images))]
    pairs = [row if isinstance(row, tuple | list) else (row, -1) for row in rows]
    if not pairs or not all(isinstance(image, Tensor) for image, *_ in pairs):
        raise UserError(
            f"{name}: a data set whose items are tensors (C, H, W) in [-1, 1], or pairs of one and its class. With "
            "torchvision: transform=Compose([ToTensor(), Normalize(0.5, 0.5)])"
        )
    labels = torch.tensor([int(label) for _, label, *_ in pairs])
    return torch.stack([image for image, *_ in pairs]), labels if bool((labels >= 0).all()) else None


def _read_folder(folder: Path, name: str, resolution: int = 0, channels: int = 3) -> ImageSet:
    """Read a folder of images; a resolution of 0 is that of the first image."""
    data = Folder(
        str(folder), resolution=resolution or _first_size(folder), channels=channels, held_out=0, batch_size=1
    )
    data.setup()
    return read_image_set(data.train, name)


def _first_size(folder: Path) -> int:
    """Return the shorter side of the first image of a folder."""
    with Image.open(Folder(str(folder), resolution=1, held_out=0).files()[0]) as image:
        return int(min(image.size))
