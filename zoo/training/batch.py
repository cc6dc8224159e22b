"""Batches of images and, if the data have any, their labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor

from zoo.errors import DataError


class Batch:
    """Images and their labels, which are moved, split and joined together.

    A plain class rather than a dataclass or a named tuple: Lightning takes those apart, copies and rebuilds them for
    every batch, whereas an object with a `to` method is moved in one call.

    Args:
        images: images (B, C, H, W); in training float in [-1, 1], between loader and device also uint8 in 0..255.
        labels: class indices (B,) of any integer type, or None; kept as int64, the only type torch can index with.
        latents: latents (B, Z) that the images were generated from; None for real images.

    Attributes:
        heads: further outputs (B, ...) of the discriminator for these images, if `GAN.score` left any.
        scores: the scores (B,) of these images, with their graph, of the latest pass of `GAN.scores` over them.

    Example:
        >>> import torch
        >>> import zoo
        >>> batch = zoo.Batch(torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]))
        >>> len(batch), batch
        (4, Batch(images (4, 1, 8, 8) torch.float32, labels (4,)))
    """

    __slots__ = ("heads", "images", "labels", "latents", "scores")

    def __init__(self, images: Tensor, labels: Tensor | None = None, latents: Tensor | None = None) -> None:
        self.images = images
        self.latents = latents
        self.heads: Tensor | None = None
        self.scores: Tensor | None = None
        self.labels = labels if labels is None or labels.is_floating_point() else labels.long()

    @classmethod
    def of(cls, data: Any) -> Batch:
        """Convert what a loader yields: a Batch, images alone, an (images, labels) pair, or a mapping with these keys.

        Raises:
            TypeError: when `data` is none of these.
        """
        if isinstance(data, Batch):
            return data
        if isinstance(data, Tensor):
            return cls(data)
        if isinstance(data, Sequence) and len(data) in (1, 2) and all(isinstance(part, Tensor) for part in data):
            return cls(*data)
        if isinstance(data, Mapping):
            images, labels = data.get("images", data.get("image")), data.get("labels", data.get("label"))
            if isinstance(images, Tensor):
                return cls(images, labels)
        raise TypeError(
            f"a batch is a tensor of images, a pair (images, labels), a mapping with 'images' and 'labels', or a "
            f"zoo.Batch; the loader yielded a {type(data).__name__}{_parts_of(data)}"
        )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        labels = "no labels" if self.labels is None else f"labels {tuple(self.labels.shape)}"
        return f"Batch(images {tuple(self.images.shape)} {self.images.dtype}, {labels})"

    def to(self, *args: Any, **kwargs: Any) -> Batch:
        """Move images and labels as `Tensor.to` does; a dtype applies to the images only."""
        images = self.images.to(*args, **kwargs)
        rest = (self.labels, self.latents)
        return Batch(images, *(None if rows is None else rows.to(images.device, non_blocking=True) for rows in rest))

    def pin_memory(self) -> Batch:
        """Return a copy in page-locked memory, so that the transfer to a GPU can overlap with computation."""
        rest = (self.labels, self.latents)
        return Batch(self.images.pin_memory(), *(None if rows is None else rows.pin_memory() for rows in rest))

    def chunk(self, parts: int) -> list[Batch]:
        """Split into `parts` batches of nearly equal size, or into one for each image if there are fewer images."""
        parts = min(parts, len(self))
        rest = ([None] * parts if rows is None else rows.tensor_split(parts) for rows in (self.labels, self.latents))
        return [Batch(*rows) for rows in zip(self.images.tensor_split(parts), *rest)]

    @staticmethod
    def join(batches: Sequence[Batch]) -> Batch:
        """Concatenate batches of equal image shape, without latents; either all of them have labels or none has."""
        labels = [batch.labels for batch in batches if batch.labels is not None]
        assert len(labels) in (0, len(batches)), "labels in some batches only"
        return Batch(torch.cat([batch.images for batch in batches]), torch.cat(labels) if labels else None)

    def split_heads(self, batches: Sequence[Batch]) -> None:
        """Give each of the batches that this one was joined from its rows of `heads`, if there are any."""
        if self.heads is not None:
            for batch, rows in zip(batches, torch.split(self.heads, [len(batch) for batch in batches])):
                batch.heads = rows


def _parts_of(data: Any) -> str:
    """Return what a loader's sequence consists of, or how an array becomes a tensor, as the end of a message."""
    if hasattr(data, "__array__") and not isinstance(data, Sequence):
        return "; torch.from_numpy makes a tensor of an array"
    if isinstance(data, Sequence) and not isinstance(data, str):
        return f" of {len(data)}: {', '.join(type(part).__name__ for part in data[:4])}"
    return ""


def check_batch(batch: Batch, channels: int, resolutions: Collection[int], num_classes: int) -> None:
    """Check that a batch suits a model. Reads values from the device, so it is called once and not in every round.

    Args:
        batch: the first batch, on the device.
        channels: channels of the model's images.
        resolutions: resolutions that the model accepts, in pixels; the largest is its own.
        num_classes: number of classes; 0 for a model that needs no labels.

    Raises:
        DataError: when shape, range or labels do not fit.
    """
    _, batch_channels, height, width = batch.images.shape if batch.images.ndim == 4 else (0, 0, 0, 0)
    if batch_channels != channels or height != width or height not in resolutions:
        size = max(resolutions)
        raise DataError(
            f"the loader gives images of shape {tuple(batch.images.shape[1:])} (C, H, W), the model was built for "
            f"{(channels, size, size)}. Set the model's channels and resolution to the data's, or the data's to the "
            "model's"
        )
    low, high = batch.images.aminmax()
    if not batch.images.is_floating_point() or low < -1.001 or high > 1.001:
        raise DataError(
            f"images must be float in [-1, 1]; the first batch is {batch.images.dtype} from {low:g} to {high:g}. "
            "For uint8 use images / 127.5 - 1"
        )
    if low >= 0:
        rank_zero_warn(
            f"the first batch has values from {low:g} to {high:g}: it looks like images in [0, 1], while generated "
            "ones are in [-1, 1]. If so, give 2 * images - 1 (or transforms.Normalize(0.5, 0.5))"
        )
    if num_classes:
        check_labels(batch.labels, num_classes)


def check_labels(labels: Tensor | None, num_classes: int, whose: str = "the data have") -> None:
    """Check the labels of a batch for a conditional model.

    Args:
        labels: the labels, or None.
        num_classes: number of classes.
        whose: where they come from, with a verb, for the error.

    Raises:
        DataError: when they are missing or no class indices.
    """
    if labels is None:
        raise DataError(
            f"the model is conditional (num_classes={num_classes}) but {whose} no labels. Give labelled data, or "
            "num_classes=0"
        )
    if labels.is_floating_point() or labels.ndim != 1 or labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"labels must be class indices (B,), whole numbers from 0 to num_classes - 1 = {num_classes - 1}; the "
            f"first batch has {tuple(labels.shape)} {labels.dtype} from {labels.min():g} to {labels.max():g}"
        )
