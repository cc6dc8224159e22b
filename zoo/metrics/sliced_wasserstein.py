"""Sliced Wasserstein distance of image patches (SWD; Karras et al. 2018, arXiv:1710.10196, section 5)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from zoo.errors import require_at_least
from zoo.metrics.projections import sorted_projections
from zoo.metrics.stored_images import StoredImages

SMALLEST = 16  # height in pixels of the last level
PATCH = 7  # height and width of a patch in pixels
AT_ONCE = 64  # images filtered at once
SCALE = 1000  # distances are given in thousandths


def _smoothed(images: Tensor, gain: float) -> Tensor:
    """Filter images (B, C, H, W) with the 5 x 5 binomial filter; edges are mirrored."""
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=images.device) / 16
    kernel = (gain * row[:, None] * row)[None, None]
    flat = images.flatten(0, 1)[:, None]
    return conv2d(pad(flat, (2, 2, 2, 2), mode="reflect"), kernel).view_as(images)


def _doubled(images: Tensor) -> Tensor:
    """Enlarge images (B, C, H, W) to twice their size, by zeros between pixels and the same filter."""
    b, c, height, width = images.shape
    larger = images.new_zeros(b, c, 2 * height, 2 * width)
    larger[:, :, ::2, ::2] = images
    return _smoothed(larger, 4.0)


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Split images (B, C, H, W) into details of each size, from fine to coarse; the last level is the image itself.

    Args:
        images: images, float32.
        levels: number of levels, each half as large as the one before.
    """
    pyramid = [images]
    for _ in range(levels - 1):
        smaller = _smoothed(pyramid[-1], 1.0)[:, :, ::2, ::2]
        pyramid[-1] = pyramid[-1] - _doubled(smaller)
        pyramid.append(smaller)
    return pyramid


def random_patches(images: Tensor, per_image: int, draw: np.random.RandomState) -> Tensor:
    """Cut random patches out of images (B, C, H, W), drawn as in the authors' code.

    Args:
        images: images.
        per_image: number of patches of each.
        draw: random numbers.

    Returns:
        Patches (B * per_image, C, 7, 7), those of an image one after another.
    """
    b, c, height, width = images.shape
    n, half = b * per_image, PATCH // 2
    x = torch.from_numpy(draw.randint(half, width - half, size=n)).to(images.device)
    y = torch.from_numpy(draw.randint(half, height - half, size=n)).to(images.device)
    offsets = torch.arange(-half, half + 1, device=images.device)
    image = torch.arange(n, device=images.device) // per_image
    # Patches lie on their side, as in the authors' code, so that the same directions give the same projections.
    rows, columns = (y[:, None] + offsets)[:, None, None, :], (x[:, None] + offsets)[:, None, :, None]
    return images[image[:, None, None, None], torch.arange(c, device=images.device)[:, None, None], rows, columns]


class SlicedWasserstein(StoredImages):
    """Sliced Wasserstein distance between patches of real and of generated images, at each level of detail.

    Images are split into a Laplacian pyramid down to 16 px. At each level, 128 patches of 7 x 7 pixels are cut out of
    each image, each channel is standardised over all patches of a side, and the sides are compared:

        swd_R = 1000 mean_p mean_i |sort(A u_p)_i - sort(B u_p)_i|    (R: height of the level in pixels)

    over random directions u_p of length 1; `swd` is the mean over levels. Lower is better. Fine levels show sharpness,
    coarse ones large structures. The published numbers are of 16,384 images of each side, 128 patches and 4 x 128
    directions; the distance is biased upwards for fewer images, so compare it with its floor. Patches and directions
    are drawn as in the authors' code (tkarras/progressive_growing_of_gans, 2504c3f), to which the levels, and the
    distance of the same patches, are equal to 1e-5. That repository's published table came from its Theano branch.

    Images may have any number of channels; the authors' have three.

    Args:
        patches: number of patches of each image and level.
        repeats: number of draws of directions.
        directions: number of directions in each draw.
        seed: seed of patches and directions.

    Example:
        >>> import torch
        >>> from zoo.metrics import SlicedWasserstein
        >>> images = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
        >>> metric = SlicedWasserstein()
        >>> metric.update(images, real=True)
        >>> metric.update(torch.nn.functional.avg_pool2d(images, 3, 1, 1), real=False)
        >>> numbers = metric.compute()
        >>> sorted(numbers)
        ['swd', 'swd_16', 'swd_32']
        >>> numbers["swd_32"] > numbers["swd_16"]  # blur removes fine detail
        tensor(True)
    """

    higher_is_better = False

    def __init__(self, patches: int = 128, repeats: int = 4, directions: int = 128, seed: int = 0) -> None:
        super().__init__()
        require_at_least(1, patches=patches, repeats=repeats, directions=directions)
        self.patches, self.repeats, self.directions, self.seed = patches, repeats, directions, seed

    def check_size(self, height: int, width: int) -> None:
        """Check that images are square, of at least 16 px, and can be halved down to less than 32 px."""
        levels = levels_of(height)
        if height != width or height < SMALLEST or height % 2 ** (levels - 1):
            raise ValueError(
                f"SWD takes square images that can be halved down to between 16 and 31 px, such as 32, 64 or 128 px; "
                f"got {height} x {width}. Resize them"
            )

    def compute(self) -> dict[str, Tensor]:
        """Return `swd`, and `swd_R` for each level of R pixels."""
        real, fake = self.images(1, "SWD")
        n = min(len(real), len(fake))
        levels = levels_of(real.shape[2])
        distances = {}
        for level in range(levels):
            sides = [self._descriptors(side[:n], level, levels) for side in (real, fake)]
            distances[f"swd_{real.shape[2] >> level}"] = SCALE * self._distance(
                sides[0], sides[1], np.random.RandomState([self.seed, level, 1])
            )
        return self.named(swd=torch.stack(list(distances.values())).mean(), **distances)

    def _descriptors(self, images: Tensor, level: int, levels: int) -> Tensor:
        """Return standardised patches (N * patches, C * 49) of one level."""
        draw = np.random.RandomState([self.seed, level])
        parts = [
            random_patches(laplacian_pyramid(part.float(), levels)[level], self.patches, draw)
            for part in torch.split(images, AT_ONCE)
        ]
        return standardised(torch.cat(parts))

    def _distance(self, a: Tensor, b: Tensor, draw: np.random.RandomState) -> Tensor:
        """Return the mean distance of sorted projections of patches, each (P, C * 49), on random directions."""
        total = torch.zeros((), dtype=torch.float64, device=a.device)
        for _ in range(self.repeats):
            directions = draw.randn(a.shape[1], self.directions)
            directions /= np.sqrt(np.square(directions).sum(0, keepdims=True))
            rows = torch.from_numpy(directions.T.astype(np.float32)).to(a.device)
            for first, second in sorted_projections(rows, a, b):
                total += (first - second).abs().sum(dtype=torch.float64)
        return total / (self.repeats * self.directions * len(a))


def levels_of(size: int) -> int:
    """Return the number of levels of images of `size` pixels: those with at least 16 px."""
    return max(1, (size // SMALLEST).bit_length())


def standardised(patches: Tensor) -> Tensor:
    """Subtract mean and divide by deviation of each channel of patches (P, C, 7, 7), and flatten them, in place."""
    for channel in range(patches.shape[1]):
        values = patches[:, channel]
        values -= values.mean(dtype=torch.float64).float()
        deviation = values.square().mean(dtype=torch.float64).sqrt().float()
        if deviation > 0:  # a channel without any detail stays 0
            values /= deviation
    return patches.flatten(1)
