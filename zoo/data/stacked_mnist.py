"""Stacked MNIST: colour images whose channels are three handwritten digits, to count the modes of a generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.data.digits import check_stacks, stacks
from zoo.data.images import Images
from zoo.data.pool import Pool
from zoo.data.torchvision_sets import MNIST


class StackedMNIST(Images):
    """Images whose red, green and blue channels are three digits of MNIST: 1,000 known, almost equally likely modes.

    The data set of Metz et al. 2017 (arXiv:1611.02163) as VEEGAN (Srivastava et al. 2017, arXiv:1705.07761) and PacGAN
    (Lin et al. 2018, arXiv:1712.04086) use it: 128,000 images of 28 px, with digits drawn with replacement. The label
    of an image is its mode, 1 * red + 10 * green + 100 * blue, as in `StackedDigits`. Training images consist of
    MNIST's 60,000 training digits and held-out images of its 10,000 test digits, so no digit is in both parts; in
    PacGAN's code all 70,000 digits are for training.

    Args:
        root: folder that contains MNIST in torchvision's layout.
        download: whether to download missing files.
        resolution: height and width in pixels; MNIST has 28.
        channels: 3; no other value is possible.
        triples: number of training images; a tenth as many more are held out.
        all_digits: whether all 70,000 digits are for training, as in PacGAN's code; then no image is held out.
        cache: folder in which the decoded images are kept, which several runs may share at once; empty for the cache
            folder of the environment variable ZOO_CACHE.
        images: settings shared by all sources, see `zoo.data.Images`; `held_out` has no effect. The draw of the triples
            depends on `split_seed`.
    """

    def __init__(
        self,
        *,
        root: str = "data",
        download: bool = False,
        resolution: int = 28,
        channels: int = 3,
        triples: int = 128_000,
        all_digits: bool = False,
        cache: str = "",
        **images: Any,
    ) -> None:
        check_stacks(type(self).__name__, channels, triples)
        super().__init__(resolution=resolution, channels=channels, **images)
        self.root, self.download, self.triples, self.all_digits = root, download, triples, all_digits
        self.cache = cache

    def read(self) -> Pool:
        """Read MNIST, or take it from the cache, and draw all images: first those for training, then the held-out ones.

        Raises:
            DataError: if files are missing or cannot be downloaded; the text says how to get the data set.
        """
        settings: dict[str, Any] = {"root": self.root, "download": self.download, "cache": self.cache}
        pool = MNIST(**settings, resolution=self.resolution, channels=1).read()
        assert pool.labels is not None
        assert pool.held_out is not None
        test = pool.held_out[:0] if self.all_digits else pool.held_out
        train = np.setdiff1d(np.arange(len(pool.images)), test)
        generator = np.random.default_rng(self.split_seed)
        digits = np.asarray(pool.images, np.uint8)
        return stacks(digits, pool.labels, train, test, self.triples, generator)
