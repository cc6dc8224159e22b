"""Resizing as the evaluation packages do it: Pillow's, that of TensorFlow 1, and that of torch without antialiasing.

Numbers of the same network differ by its resizing (Parmar, Zhang and Zhu 2022, arXiv:2104.11222), so an extractor that
is named after a protocol must resize exactly as that protocol's package. Pillow's resizing is computed here for whole
batches, on any device. That is not torch's `antialias=True`, whose results differ from Pillow's by up to two levels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

Kernel = Literal["bicubic", "bilinear"]
BITS = 22  # Pillow's weights for images of 8 bits are whole numbers of 2 ** -22


def pillow_resize(pixels: Tensor, height: int, width: int, kernel: Kernel, rounds: bool) -> Tensor:
    """Resize images as `PIL.Image.resize` does: antialiased, in a pass along the rows and one along the columns.

    With `rounds`, the result is that of an image of 8 bits, bit by bit: weights are whole numbers, and each of the two
    passes is rounded and clamped. Without it, the result is that of Pillow's mode `F` (clean-fid's resizing), to 2e-5
    levels; values may then lie outside [0, 255].

    Recent versions of Pillow take the columns first where that is faster: in images that lose more than twice as many
    rows as columns. Which comes first changes a fifth of the values by a level. Here rows always come first, as in the
    versions with which the protocols were made; square images and their results are the same in all versions.

    Args:
        pixels: images (B, C, H, W), float32, with integer values in [0, 255].
        height: height of the result, in pixels.
        width: width of the result, in pixels.
        kernel: kernel of the interpolation.
        rounds: whether both passes are rounded to the 256 levels of an image file.

    Returns:
        Images (B, C, height, width), float32.
    """
    passes = []
    for before, after in ((pixels.shape[-1], width), (pixels.shape[-2], height)):
        weights = torch.from_numpy(pillow_weights(before, after, kernel)).to(pixels.device)
        passes.append((weights * 2**BITS + weights.sign() / 2).trunc() if rounds else weights)
    along_rows, along_columns = passes
    # Sums of whole numbers below 2 ** 53 are exact in float64, in any order.
    result = _rounded(pixels.double() @ along_rows.T, rounds)
    return _rounded(along_columns @ result.double(), rounds)


def _rounded(sums: Tensor, rounds: bool) -> Tensor:
    """Return what Pillow stores after a pass: levels, or float32."""
    return ((sums + 2 ** (BITS - 1)) / 2**BITS).floor().clamp(0, 255).float() if rounds else sums.float()


@lru_cache(maxsize=32)
def pillow_weights(before: int, after: int, kernel: Kernel) -> NDArray[np.float64]:
    """Return the weights (after, before) of a pass of Pillow's resizing along one side of an image.

    Args:
        before: length of the side, in pixels.
        after: length of the side in the result, in pixels.
        kernel: kernel of the interpolation.
    """
    scale = before / after
    stretch = max(scale, 1.0)  # a kernel that is as wide as the pixels of the smaller image averages over them
    support = (2.0 if kernel == "bicubic" else 1.0) * stretch
    weights = np.zeros((after, before))
    for i in range(after):
        centre = (i + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), before)
        values = _kernel((np.arange(first, last, dtype=np.float64) - centre + 0.5) / stretch, kernel)
        weights[i, first:last] = values / values.sum()
    return weights


def _kernel(x: NDArray[np.float64], kernel: Kernel) -> NDArray[np.float64]:
    """Return the values of a kernel; Pillow's bicubic one has a = -0.5, that of torch without antialiasing -0.75."""
    x = np.abs(x)
    if kernel == "bilinear":
        return np.clip(1 - x, 0, None)
    a = -0.5
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def tensorflow1_resize(pixels: Tensor, size: int) -> Tensor:
    """Resize images (B, C, H, W) to (B, C, size, size) as TensorFlow 1 did, by the function of torch-fidelity.

    It is bilinear, without antialiasing and without half-pixel centres, and does not round.
    """
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(pixels, size=(size, size), align_corners=False)
    return resized


def torch_resize(pixels: Tensor, size: int) -> Tensor:
    """Resize images (B, C, H, W) to (B, C, size, size) by torch: bilinear, no antialiasing, not rounded."""
    return interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False)


def resize_shorter_side(pixels: Tensor, size: int, kernel: Kernel) -> Tensor:
    """Resize images so that their shorter side is `size`, as torchvision's `Resize(size)` does to a Pillow image.

    Args:
        pixels: images (B, C, H, W), float32, with integer values in [0, 255].
        size: the shorter side of the result, in pixels.
        kernel: kernel of the interpolation; the result is rounded to the 256 levels.
    """
    height, width = pixels.shape[-2:]
    longer = int(size * max(height, width) / min(height, width))
    new_height, new_width = (size, longer) if height <= width else (longer, size)
    return pillow_resize(pixels, new_height, new_width, kernel, rounds=True)


def centre_crop(pixels: Tensor, height: int, width: int) -> Tensor:
    """Cut the centre (B, C, height, width) out of images that are at least as large, as torchvision's `CenterCrop`."""
    top, left = (round((now - asked) / 2.0) for now, asked in zip(pixels.shape[-2:], (height, width)))
    return pixels[..., top : top + height, left : left + width]
