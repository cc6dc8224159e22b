"""Base class of extractors: range, rounding, channels and precision are handled here, once for all networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from zoo.errors import FeatureError
from zoo.layers.levels import quantised
from zoo.layers.precision import full_float32

LARGEST = 1.001  # accepted magnitude: sums in half precision exceed 1 by rounding


class Extractor(nn.Module):
    """Frozen network that maps images (B, C, H, W) in [-1, 1] to features (B, D), float32.

    It is always in eval mode, without gradients and in float32 (no autocast, no TF32), so that the features of an image
    depend neither on the rest of its batch nor on the caller's settings. Images are first rounded to the 256 levels of
    an image file: a generator must not be judged on detail that no saved image has. Images of uint8, 0 to 255, are
    taken as they are; other values outside [-1, 1] are refused.

    A subclass overrides the class attributes below as needed and implements `forward_pixels`.

    Args:
        name: name of the network and of all that distinguishes this variant from the default. It is part of the name of
            every number, so that numbers of different extractors never have the same name.
        width: number of features D.
        protocol: description of network, layer, weights, resizing and input range, recorded with every number.
        batch_size: number of images in one pass.
    """

    logits_width = 0
    """Number of classes K of `logits`; 0 if the network has no classes."""
    channels: tuple[int, ...] = (1, 3)
    """Accepted numbers of image channels; empty for any."""
    wants_colour = True
    """Whether grey images are repeated to three channels."""
    rounds = True
    """Whether images are rounded to 256 levels."""
    compares_with = ""
    """Numbers of others that those of this extractor can be held against, in words; empty if there are none."""

    def __init__(self, name: str, width: int, protocol: dict[str, str], batch_size: int = 64) -> None:
        super().__init__()
        self.name, self.width, self.protocol, self.batch_size = name, width, protocol, batch_size

    @property
    def num_features(self) -> int:
        """The number of features, under the name that torchmetrics expects of a custom network."""
        return self.width

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute features (B, D), and logits (B, K) or None.

        Args:
            pixels: images (B, C, H, W), float32, with integer values in [0, 255] unless `rounds` is false; C is 3 if
                `wants_colour`.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Compute features (B, D), float32, of images (B, C, H, W) in [-1, 1].

        Raises:
            FeatureError: if the extractor does not accept the images.
        """
        return self.features_and_logits(images)[0]

    def logits(self, images: Tensor) -> Tensor:
        """Compute class logits (B, K) of images (B, C, H, W) in [-1, 1].

        Raises:
            FeatureError: if the network has no classes.
        """
        logits = self.features_and_logits(images)[1]
        if logits is None:
            raise FeatureError(
                f"extractor {self.name} has no classes, which this metric needs. Use extractor=inception, or "
                "extractor=digits for handwritten digits"
            )
        return logits

    @torch.no_grad()
    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute features (B, D), and logits (B, K) or None, of images (B, C, H, W), in one pass.

        Args:
            images: images of float in [-1, 1], or of uint8.

        Raises:
            FeatureError: if the extractor does not accept the images.
        """
        if images.ndim != 4 or (self.channels and images.shape[1] not in self.channels):
            takes = " or ".join(map(str, self.channels)) or "any"
            raise FeatureError(
                f"extractor {self.name} takes images (B, C, H, W) with {takes} channels; got {tuple(images.shape)}. "
                "For points in the plane use extractor=points"
            )
        with full_float32(images.device):
            pixels = levels_of(images, self.name) if self.rounds else _coordinates(images, self.name)
            if pixels.shape[1] == 1 and self.wants_colour:
                pixels = pixels.expand(-1, 3, -1, -1)
            features, logits = self.forward_pixels(pixels)
        return features.float(), None if logits is None else logits.float()

    def train(self, mode: bool = True) -> Extractor:
        """Stay in eval mode, also when a parent module is set to training mode."""
        return super().train(False)

    def freeze(self) -> Extractor:
        """Switch to eval mode and disable gradients; call it at the end of a subclass's constructor."""
        return self.eval().requires_grad_(False)


def levels_of(images: Tensor, name: str) -> Tensor:
    """Return images as levels 0 to 255 in float32, rounded.

    Args:
        images: images of float in [-1, 1], or of uint8.
        name: name of the extractor, for error messages.

    Raises:
        FeatureError: for other values. Those that are not finite pass: the features then tell.
    """
    if images.dtype == torch.uint8:
        return images.detach().float()
    if not images.is_floating_point():
        raise FeatureError(
            f"extractor {name} takes images of float in [-1, 1] or of uint8; got {images.dtype}. For values from 0 to "
            "255: images.to(torch.uint8)"
        )
    if images.numel():
        low, high = (float(value) for value in images.detach().aminmax())  # one wait for the device, before a network
        if low < -LARGEST or high > LARGEST:
            raise FeatureError(
                f"extractor {name} takes images of float in [-1, 1] or of uint8; got values from {low:g} to {high:g}. "
                "For values from 0 to 255: images.to(torch.uint8). For a generator that exceeds the range: "
                "images.clamp(-1, 1)"
            )
    return quantised(images)


def _coordinates(points: Tensor, name: str) -> Tensor:
    """Return points in float32.

    Raises:
        FeatureError: if they are of integers, which are images.
    """
    if not points.is_floating_point():
        raise FeatureError(f"extractor {name} takes points of float; got {points.dtype}, as images are")
    return points.detach().float()


def resized(pixels: Tensor, size: int) -> Tensor:
    """Resize pixels (B, C, H, W) to (B, C, size, size): bilinear, antialiased when shrinking, not rounded again."""
    if pixels.shape[-2:] == (size, size):
        return pixels
    return interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
