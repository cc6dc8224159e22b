"""Base class of metrics over the pixels of images, which are stored as bytes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.utilities.data import dim_zero_cat

from zoo.layers.levels import quantised
from zoo.metrics.accumulate import FeatureMetric, require_samples

LARGEST = 1.001  # accepted magnitude: sums in half precision exceed 1 by rounding


def as_bytes(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) as uint8, rounded to the 256 levels of an image file.

    Args:
        images: images of float in [-1, 1], or of uint8.

    Raises:
        ValueError: for another shape, type or range.
    """
    if images.dim() != 4:
        raise ValueError(f"images must be (B, C, H, W); got {tuple(images.shape)}")
    if images.dtype == torch.uint8:
        return images.detach()
    if not images.is_floating_point():
        raise ValueError(f"images must be of float in [-1, 1] or of uint8; got {images.dtype}")
    if images.numel():
        low, high = (float(value) for value in images.detach().aminmax())
        if not (low >= -LARGEST and high <= LARGEST):
            raise ValueError(f"images must be of float in [-1, 1] or of uint8; got values from {low:g} to {high:g}")
    return quantised(images).to(torch.uint8)


class StoredImages(FeatureMetric):
    """Base of metrics that store all images as bytes, on the metric's device.

    With several processes, images are ordered by rank, and the numbers are those of one process that saw the images in
    this order.
    """

    shape: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Flat, so that a process without an image can take part in the gathering without knowing the shape.
        self.add_state("real_images", default=[], dist_reduce_fx="cat")
        self.add_state("fake_images", default=[], dist_reduce_fx="cat")
        self.add_state("shape", default=torch.zeros(3, dtype=torch.long), dist_reduce_fx="max")

    def update(self, features: Tensor, real: bool) -> None:
        """Store a batch of images.

        Args:
            features: images (B, C, H, W) of float in [-1, 1], or of uint8; all of the shape of the first batch.
            real: whether they are real or generated.
        """
        images = as_bytes(features).to(self.device)
        shape = torch.tensor(images.shape[1:], device=self.device)
        if bool(self.shape.any()) and not torch.equal(shape, self.shape):
            raise ValueError(
                f"images must be {tuple(self.shape.tolist())} (C, H, W) as before; got {tuple(shape.tolist())}"
            )
        self.check_size(images.shape[2], images.shape[3])
        self.shape.copy_(shape)
        stored: list[Tensor] = self.real_images if real else self.fake_images  # type: ignore[assignment]
        stored.append(images.clone().flatten())

    def check_size(self, height: int, width: int) -> None:
        """Check the size of images in pixels.

        Raises:
            ValueError: for a size that the metric cannot measure.
        """

    def images(self, least: int, name: str, *, real_too: bool = True) -> tuple[Tensor, Tensor]:
        """Return all real images (N, C, H, W) and all generated ones (M, C, H, W), as uint8.

        Args:
            least: the smallest number of images.
            name: name of the metric, for the error message.
            real_too: whether real images are needed.

        Raises:
            ValueError: if there are fewer images.
        """
        shape = [max(1, size) for size in self.shape.tolist()]
        real, fake = (self._stored(f"{side}_images").view(-1, *shape) for side in ("real", "fake"))
        require_samples(least, name, *((len(real), len(fake)) if real_too else (len(fake),)))
        return real, fake

    def _stored(self, name: str) -> Tensor:
        flat: Tensor | list[Tensor] = getattr(self, name)
        if isinstance(flat, list):
            flat = dim_zero_cat(flat) if flat else torch.zeros(0, dtype=torch.uint8, device=self.device)
            setattr(self, name, [flat])  # one copy, not two, while the metric computes
        return flat
