"""Packs of images that a discriminator scores together, joined along channels (PacGAN, arXiv:1712.04086)."""

from __future__ import annotations

import torch

from zoo.errors import DataError
from zoo.training.batch import Batch


def packs(batch: Batch, size: int) -> Batch:
    """Return a batch of B / `size` packs, (B / size, size * C, H, W), of images that are adjacent in the batch.

    Args:
        batch: images (B, C, H, W) without labels.
        size: number of images in a pack; 1 returns the batch as it is.

    Raises:
        DataError: when the images do not fill the packs.
    """
    if size == 1:
        return batch
    if len(batch) % size:
        raise DataError(
            f"{len(batch)} images in a pass do not fill packs of {size} (model.packing). Set data.batch_size to a "
            f"multiple of {size}; of {size} for each micro-batch and each generator of a mixture"
        )
    return Batch(batch.images.reshape(len(batch) // size, -1, *batch.images.shape[2:]))


def with_followers(batch: Batch, size: int) -> Batch:
    """Return a pack for each image, (B, size * C, H, W): the image and those after it in the batch.

    The last images are followed by the first. Thus every image has a score of its own, in a batch of any length.

    Args:
        batch: images (B, C, H, W).
        size: number of images in a pack; 1 returns the batch as it is.
    """
    if size == 1:
        return batch
    return Batch(torch.cat([batch.images.roll(-i, 0) for i in range(size)], 1), batch.labels)
