"""Handwritten digits that are part of the scikit-learn package: real images without a download."""

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
    """Load all 1,797 digits and their labels.

    Source: UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998), its test set, with 8x8 pixels
    and 17 grey levels. The images are enlarged with a bicubic filter.

    Args:
        resolution: height and width of the result in pixels.
        channels: 1, or 3 for three equal channels.

    Returns:
        Images (1797, resolution, resolution, channels) of uint8, white on black, and labels (1797,) in 0..9.
    """
    from sklearn import datasets  # imported here because the import takes a second

    raw = datasets.load_digits()
    grey = np.round(raw.images * (255 / 16)).astype(np.uint8)
    images = np.stack([to_square(Image.fromarray(digit), resolution, channels) for digit in grey])
    return images, raw.target.astype(np.int64)


class Digits(Images):
    """The 1,797 handwritten digits of scikit-learn, in ten classes; see `load_digits` for their source.

    Args:
        resolution: height and width in pixels, to which the images are enlarged from 8x8.
        channels: 1, or 3 for three equal channels.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    def __init__(self, *, resolution: int = 16, channels: int = 1, **images: Any) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels of Digits are 1 (grey) or 3 (the same three times); got {channels}")
        super().__init__(resolution=resolution, channels=channels, **images)

    def read(self) -> Pool:
        """Load all digits."""
        images, labels = load_digits(self.resolution, self.channels)
        return Pool(images, labels, content_digest(images, labels), class_names=tuple("0123456789"))


def check_stacks(name: str, channels: int, triples: int) -> None:
    """Check the settings of a source of stacked digits.

    Args:
        name: name of the source, for errors.
        channels: channels of its images.
        triples: number of training images.

    Raises:
        ValueError: for other channels than 3, or fewer than 10 images.
    """
    if channels != 3:
        raise ValueError(f"{name} has one digit in each of 3 channels: model and data need channels=3; got {channels}")
    if triples < 10:
        raise ValueError(f"triples must be at least 10; got {triples}")


def stacks(
    digits: NDArray[np.uint8],
    classes: NDArray[np.int64],
    train: NDArray[np.int64],
    held_out: NDArray[np.int64],
    triples: int,
    generator: np.random.Generator,
) -> Pool:
    """Draw images whose red, green and blue channels are three digits each, with replacement.

    Args:
        digits: grey digits (N, H, W, 1).
        classes: their classes (N,), 0 to 9.
        train: indices of the digits for training images.
        held_out: indices of the digits for held-out images; without any, no image is held out.
        triples: number of training images; a tenth as many more are held out.
        generator: source of the draws.

    Returns:
        The images, first those for training, with the labels 1 * red + 10 * green + 100 * blue.
    """
    parts = [(train, triples)] + ([(held_out, triples // 10)] if len(held_out) else [])
    indices = np.concatenate([generator.choice(part, size=(size, 3)) for part, size in parts])  # (images, 3)
    images = np.concatenate([digits[indices[:, channel]] for channel in range(3)], axis=3)
    labels = classes[indices] @ np.array([1, 10, 100])
    names = tuple(f"{mode % 10}, {mode // 10 % 10}, {mode // 100}" for mode in range(1000))  # red, green, blue
    return Pool(images, labels, content_digest(images, labels), np.arange(triples, len(images)), names)


class StackedDigits(Images):
    """Images whose red, green and blue channels are three digits: 1,000 known, equally likely modes.

    The data set follows the stacked MNIST of Metz et al. 2017 (arXiv:1611.02163), with the digits of `load_digits`. The
    label of an image is its mode, 1 * red + 10 * green + 100 * blue, as in the ProGAN code. Held-out images consist of
    held-out digits, so no digit is in both parts.

    Args:
        resolution: height and width in pixels.
        channels: 3; no other value is possible.
        triples: number of training images; a tenth as many more are held out.
        images: settings shared by all sources, see `zoo.data.Images`; `held_out` is the share or number of digits that
            are held out.
    """

    def __init__(self, *, resolution: int = 16, channels: int = 3, triples: int = 50_000, **images: Any) -> None:
        check_stacks(type(self).__name__, channels, triples)
        super().__init__(resolution=resolution, channels=channels, **images)
        self.triples = triples

    def read(self) -> Pool:
        """Draw all images: first those for training, then the held-out ones."""
        digits, classes = load_digits(self.resolution, 1)
        if self.held_out_size >= len(digits):
            raise DataError(f"data.held_out: there are {len(digits):,} digits; {self.held_out_size:,.0f} leave none")
        generator = np.random.default_rng(self.split_seed)
        order = generator.permutation(len(digits))
        count = int(self.held_out_size * len(digits)) if self.held_out_size < 1 else int(self.held_out_size)
        return stacks(digits, classes, order[count:], order[:count], self.triples, generator)
