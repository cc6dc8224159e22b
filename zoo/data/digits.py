"""The handwritten digits inside the scikit-learn wheel: real images without a download."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.decode import to_square
from zoo.data.images import Images
from zoo.data.pool import Pool, content_digest
from zoo.errors import DataError


def load_digits(resolution: int, channels: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All 1,797 digits as (N, H, W, C) uint8, white on black, and their labels 0..9.

    Source: UCI "Optical Recognition of Handwritten Digits" test set (Alpaydin and Kaynak 1998), 8x8 pixels with 17
    grey levels, enlarged with a bicubic filter.
    """
    from sklearn import datasets  # a second of import time, paid only by those who use the digits

    raw = datasets.load_digits()
    grey = np.round(raw.images * (255 / 16)).astype(np.uint8)
    images = np.stack([to_square(Image.fromarray(digit), resolution, channels) for digit in grey])
    return images, raw.target.astype(np.int64)


class Digits(Images):
    """scikit-learn's 1,797 handwritten digits, ten classes.

    Args:
        resolution: enlarged from 8x8 to this many pixels.
        channels: 1, or 3 for the same grey in each.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    def __init__(self, *, resolution: int = 16, channels: int = 1, **images: Any) -> None:
        super().__init__(resolution=resolution, channels=channels, **images)

    def read(self) -> Pool:
        """All digits."""
        images, labels = load_digits(self.resolution, self.channels)
        return Pool(images, labels, content_digest(images, labels), class_names=tuple("0123456789"))


class StackedDigits(Images):
    """Three digits as the red, green and blue of one image: 1,000 known, equally likely modes.

    After the stacked MNIST of Metz et al. 2017 (arXiv:1611.02163); mode = 1 * red + 10 * green + 100 * blue, as in the
    ProGAN code. Held-out images are made of held-out digits, so no digit is on both sides.

    Args:
        resolution: in pixels.
        channels: 3; there is nothing else to choose.
        triples: number of training images; a tenth as many more are held out.
        images: settings shared by all sources; `held_out` is here the share of digits set aside.
    """

    def __init__(self, *, resolution: int = 16, channels: int = 3, triples: int = 50_000, **images: Any) -> None:
        if channels != 3:
            raise ValueError(
                f"StackedDigits has one digit in each of 3 channels: model and data need channels=3; got {channels}"
            )
        if triples < 10:
            raise ValueError(f"triples must be at least 10; got {triples}")
        super().__init__(resolution=resolution, channels=channels, **images)
        self.triples = triples

    def read(self) -> Pool:
        """All triples: first the training images, then the held-out ones."""
        digits, classes = load_digits(self.resolution, 1)
        if self.held_out_size >= len(digits):
            raise DataError(f"data.held_out: there are {len(digits):,} digits; {self.held_out_size:,.0f} leave none")
        generator = np.random.default_rng(self.split_seed)
        order = generator.permutation(len(digits))
        set_aside = int(self.held_out_size * len(digits)) if self.held_out_size < 1 else int(self.held_out_size)
        parts = [(order[set_aside:], self.triples)] + ([(order[:set_aside], self.triples // 10)] if set_aside else [])
        chosen = np.concatenate([generator.choice(some, size=(count, 3)) for some, count in parts])
        images = np.concatenate([digits[chosen[:, channel]] for channel in range(3)], axis=3)
        labels = classes[chosen] @ np.array([1, 10, 100])
        held_out = np.arange(self.triples, len(images))
        names = tuple(f"{mode % 10}, {mode // 10 % 10}, {mode // 100}" for mode in range(1000))  # red, green, blue
        return Pool(images, labels, content_digest(images, labels), held_out, names)
