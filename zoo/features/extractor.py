"""What every extractor shares: one call from images to features, and one place for range, rounding and grey images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from zoo.errors import FeatureError
from zoo.layers.precision import full_float32


class Extractor(nn.Module):
    """A frozen network from images to features: (B, C, H, W) in [-1, 1] to (B, width) float32.

    Always in eval mode, without gradients and in float32 (no autocast, no TF32), so that the features of an image do
    not depend on what else is in its batch or on what the caller does. Images are first clamped to [-1, 1] and rounded
    to the 256 levels that an image file holds: a generator must not be judged on detail that no saved image has.

    A subclass sets what follows and implements `forward_pixels`.

    Args:
        name: network, and whatever sets this variant apart from the default; numbers of different extractors never
            share a name, so it stands in the name of every number.
        width: of the features.
        protocol: network, layer, weights, resizing and range in words, recorded beside every number.
        batch_size: images in one pass that suit the network.
    """

    logits_width = 0
    """Number of classes for which `logits` gives a value; 0 where the network classifies nothing."""
    channels: tuple[int, ...] = (1, 3)
    """Channels of images it takes; none given means any."""
    wants_colour = True
    """Whether grey images are repeated to three channels."""
    rounds = True
    """Whether images are rounded to 256 levels."""

    def __init__(self, name: str, width: int, protocol: dict[str, str], batch_size: int = 64) -> None:
        super().__init__()
        self.name, self.width, self.protocol, self.batch_size = name, width, protocol, batch_size

    @property
    def num_features(self) -> int:
        """The width, under the name by which torchmetrics asks a custom network for it."""
        return self.width

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (B, width), and logits (B, logits_width) or None.

        Args:
            pixels: (B, C, H, W) float32 with whole values in 0..255; C is 3 where `wants_colour`.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, width) float32 of images (B, C, H, W) in [-1, 1].

        Raises:
            FeatureError: for images this extractor cannot take.
        """
        return self.features_and_logits(images)[0]

    def logits(self, images: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, logits_width) of the network's classes.

        Raises:
            FeatureError: when the network classifies nothing.
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
        """Both from one pass: (B, width), and (B, logits_width) or None."""
        if images.ndim != 4 or (self.channels and images.shape[1] not in self.channels):
            takes = " or ".join(map(str, self.channels)) or "any"
            raise FeatureError(
                f"extractor {self.name} takes images (B, C, H, W) with {takes} channels; got {tuple(images.shape)}. "
                "For points in the plane use extractor=points"
            )
        with full_float32(images.device):
            pixels = quantised(images) if self.rounds else images.detach().float()
            if pixels.shape[1] == 1 and self.wants_colour:
                pixels = pixels.expand(-1, 3, -1, -1)
            features, logits = self.forward_pixels(pixels)
        return features.float(), None if logits is None else logits.float()

    def train(self, mode: bool = True) -> Extractor:
        """Stay in eval mode, whatever a parent module is told."""
        return super().train(False)

    def freeze(self) -> Extractor:
        """Eval mode, no gradients; called at the end of a subclass's constructor."""
        return self.eval().requires_grad_(False)


def quantised(images: Tensor) -> Tensor:
    """Images in [-1, 1] as whole float32 values 0..255, as an image file would hold them: clamped and rounded."""
    return images.detach().float().clamp(-1, 1).add(1).mul(127.5).round()


def resized(pixels: Tensor, size: int) -> Tensor:
    """Pixels (B, C, H, W) at `size` by `size`: bilinear, antialiased where it shrinks, not rounded again."""
    if pixels.shape[-2:] == (size, size):
        return pixels
    return interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
