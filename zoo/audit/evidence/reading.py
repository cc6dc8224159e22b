"""Read image sets from tensors, data sets and folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.audit.evidence.folders import list_folder
from zoo.audit.evidence.images import PART, PART_VALUES, ImageSet, check_labels
from zoo.audit.evidence.stored import StridedImages, split_images, store
from zoo.audit.evidence.subject import checked_range
from zoo.data.pool import Split
from zoo.errors import UserError
from zoo.rendering.pictures import to_uint8


def read_image_set(images: Any, name: str, labels: Tensor | None = None) -> ImageSet:
    """Read an image set.

    Args:
        images: a tensor (N, C, H, W) in [-1, 1] or uint8, a map-style data set, a split of a `zoo.data` set, or the
            path of a folder, which is read at the most common size of its images.
        name: name of the image set, `train`, `held_out` or `generated`.
        labels: class indices (N,), if `images` has none.

    Raises:
        UserError: for anything else, or images out of range.
    """
    if isinstance(images, ImageSet):
        return images
    if isinstance(images, str | Path):
        folder = list_folder(images, name)
        return folder.read(folder.sizes.common_side, 3, labels).images
    if isinstance(images, Split):
        own = images.pool.labels
        known = None if own is None else torch.from_numpy(own[images.indices])
        return with_labels(ImageSet(name, split_images(images), known, images.pool.class_names), labels)
    if isinstance(images, Tensor):
        stored = StridedImages(images.cpu()) if _in_another_order(images) else _stored_tensor(images, name)
        return with_labels(ImageSet(name, stored), labels)
    if hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        return with_labels(_read_dataset(images, name), labels)
    raise UserError(f"{name}: a tensor of images (N, C, H, W), a data set, or a folder; got a {type(images).__name__}")


def with_labels(image_set: ImageSet, labels: Tensor | None) -> ImageSet:
    """Return an image set with other class indices (N,); with its own for None.

    Raises:
        UserError: unless there is one for each image.
    """
    if labels is None:
        return image_set
    known = check_labels(labels, len(image_set), image_set.name, from_files=bool(image_set.files))
    return replace(image_set, labels=known, class_names=())


def _in_another_order(images: Tensor) -> bool:
    """Return whether images (N, C, H, W) are bytes that are not in this order in memory."""
    return images.ndim == 4 and images.dtype == torch.uint8 and not images.is_contiguous()


def _stored_tensor(images: Tensor, name: str) -> Tensor:
    """Return images (N, C, H, W) as uint8 on the CPU."""
    if images.ndim != 4:
        raise UserError(f"{name}: images are (N, C, H, W); got {tuple(images.shape)}")
    if images.dtype == torch.uint8:
        return images.contiguous().cpu()
    pixels = torch.empty(images.shape, dtype=torch.uint8)
    size = max(1, min(PART, PART_VALUES // max(1, images[0].numel()))) if len(images) else 1
    for first in range(0, len(images), size):  # a part at a time, since float images are four times as large
        part = images[first : first + size]
        pixels[first : first + size] = to_uint8(checked_range(part.float(), name))
    return pixels


def _read_dataset(images: Any, name: str) -> ImageSet:
    """Read a map-style data set of images or of pairs of an image and its class, one image after the other.

    Raises:
        UserError: when an image is no tensor.
    """
    labels: list[int] = []

    def parts() -> Iterator[Tensor]:
        for i in range(len(images)):
            row = images[i]
            image, label = (*row, -1)[:2] if isinstance(row, tuple | list) else (row, -1)
            if not isinstance(image, Tensor):
                raise UserError(
                    f"{name}: a data set whose items are tensors (C, H, W) in [-1, 1], or pairs of one and its class. "
                    "With torchvision: transform=Compose([ToTensor(), Normalize(0.5, 0.5)])"
                )
            labels.append(int(label))
            yield _stored_tensor(image[None], name)

    if not len(images):
        raise UserError(f"{name}: the data set has no images")
    stored = store(parts(), len(images), name)
    known = torch.tensor(labels)
    return ImageSet(name, stored, known if bool((known >= 0).all()) else None)
