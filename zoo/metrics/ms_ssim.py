"""Multi-scale structural similarity (MS-SSIM; Wang et al. 2003) of pairs of images, as a measure of variety."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from zoo.metrics.stored_images import StoredImages

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, from fine to coarse
FILTER, DEVIATION = 11, 1.5  # width in pixels and standard deviation of the Gaussian window
RANGE = 255.0
AT_ONCE = 64  # pairs compared at once


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Compute the MS-SSIM of pairs of images (B, C, H, W) with values in [0, 255]: (B,), in [0, 1].

    Where a scale is smaller than the window, the window shrinks to it, as in the code of the progressive GAN. Channels
    are compared one by one and averaged.
    """
    x, y = first.double(), second.double()
    result = x.new_ones(len(x))
    for i, weight in enumerate(WEIGHTS):
        similarity, contrast = _similarity(x, y)
        last = i == len(WEIGHTS) - 1
        result = result * (similarity if last else contrast).clamp(min=0) ** weight
        if not last:
            x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    return result


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return structural similarity and contrast (B,) of images at one scale."""
    size = min(FILTER, *x.shape[2:])
    axis = torch.arange(size, dtype=torch.float64, device=x.device) - (size - 1) / 2
    window = (-(axis**2) / (2 * (DEVIATION * size / FILTER) ** 2)).exp()
    window /= window.sum()

    def local_mean(images: Tensor) -> Tensor:
        flat = images.flatten(0, 1)[:, None]
        means = conv2d(conv2d(flat, window[None, None, :, None]), window[None, None, None])
        return means.view(*images.shape[:2], *means.shape[2:])

    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    mean_x, mean_y = local_mean(x), local_mean(y)
    variances = local_mean(x * x) + local_mean(y * y) - mean_x**2 - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


class MSSSIM(StoredImages):
    """Mean MS-SSIM of pairs of generated images: high values mean little variety. In [0, 1]; lower is more varied.

    Odena et al. 2017 (arXiv:1610.09585) compare 100 pairs within each class; the progressive GAN's code compares 10,000
    pairs of all images, whatever their classes, and so does this metric with 20,000 images. The images are taken as
    pairs in the order in which they come (the first with the second, and so on), so they must be in random order. It
    tells collapse from variety, and nothing about quality: noise has the lowest value. Compare it with `ms_ssim_real`,
    which is also the floor: a good generator has the value of real images. It equals the code of
    tkarras/progressive_growing_of_gans (2504c3f) to 1e-5, which averages channels at each scale; pytorch-msssim 1.0.0
    averages them at the end, and equals it for one channel.

    Example:
        >>> import torch
        >>> from zoo.metrics import MSSSIM
        >>> images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
        >>> metric = MSSSIM()
        >>> metric.update(images[[0, 0, 1, 1]], real=False)  # each twice
        >>> round(metric.compute()["ms_ssim"].item(), 6)
        1.0
    """

    higher_is_better = False

    def check_size(self, height: int, width: int) -> None:
        """Check that images can be halved four times."""
        if min(height, width) < 16 or height % 16 or width % 16:
            raise ValueError(
                "MS-SSIM halves images four times, so height and width must be multiples of 16; got "
                f"{height} x {width}. Resize them"
            )

    def compute(self) -> dict[str, Tensor]:
        """Return `ms_ssim`, and `ms_ssim_real` if there is a pair of real images."""
        real, fake = self.images(2, "MS-SSIM", real_too=False)
        numbers = {"ms_ssim": self._mean(fake)}
        if len(real) >= 2:
            numbers["ms_ssim_real"] = self._mean(real)
        return self.named(**numbers)

    def _mean(self, images: Tensor) -> Tensor:
        """Return the mean over pairs of successive images; an odd one is left out."""
        pairs = len(images) // 2
        first, second = images[0 : 2 * pairs : 2], images[1 : 2 * pairs : 2]
        values = [ms_ssim(x, y) for x, y in zip(torch.split(first, AT_ONCE), torch.split(second, AT_ONCE))]
        return torch.cat(values).mean()
