"""Extractors without a network: the pixels of images, and the coordinates of points."""

from __future__ import annotations

from torch import Tensor

from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor, resized

Shape = tuple[int, int, int]


class Pixels(Extractor):
    """Flattened pixels in [-1, 1], optionally resized first. Grey images are not expanded to three channels.

    Pixels need no weights, but their distances say little about the content of images: use them for tiny images and in
    tests.

    Args:
        shape: shape (C, H, W) of the images; None takes that of the first batch, and `width` is 0 until then.
        size: height and width to resize images to, in pixels; 0 keeps their own.
    """

    channels = ()
    wants_colour = False

    def __init__(self, shape: Shape | None = None, size: int = 0) -> None:
        if size < 0:
            raise FeatureError(f"size: at least 1 pixel, or 0 for the images' own; got {size}")
        resize = f"antialiased bilinear to {size} px" if size else "none"
        super().__init__(
            f"pixels-{size}px" if size else "pixels",
            0,
            {"network": "none", "layer": "pixels", "weights": "none", "resize": resize, "input": "uint8"},
            batch_size=1024,
        )
        self.shape: Shape | None = None
        self.size = size
        if shape is not None:
            self._set_shape(shape)

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:
        """Return the flattened pixels; see `Extractor.forward_pixels`."""
        channels, height, width = pixels.shape[1:]
        self._set_shape((channels, height, width))
        return (resized(pixels, self.size) if self.size else pixels).flatten(1) / 127.5 - 1, None

    def _set_shape(self, shape: Shape) -> None:
        """Set the shape of images, which determines the width; later images must have the same shape."""
        if self.shape not in (None, shape):
            raise FeatureError(f"this extractor is for images {self.shape} (C, H, W); got {shape}")
        self.shape = shape
        self.width = shape[0] * (self.size or shape[1]) * (self.size or shape[2])


class Points(Extractor):
    """Coordinates of points (B, C, 1, 1), neither rounded nor clamped.

    Args:
        shape: shape (C, 1, 1) of a point.
    """

    channels = ()
    wants_colour = False
    rounds = False

    def __init__(self, shape: Shape = (2, 1, 1)) -> None:
        super().__init__(
            "points",
            shape[0] * shape[1] * shape[2],
            {"network": "none", "layer": "coordinates", "weights": "none", "resize": "none", "input": "float32"},
            batch_size=100_000,
        )

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:
        """Return the coordinates; see `Extractor.forward_pixels`."""
        return pixels.flatten(1), None
