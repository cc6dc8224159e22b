"""The 256 levels of an image file."""

from __future__ import annotations

from torch import Tensor


def quantised(images: Tensor) -> Tensor:
    """Clamp and round images in [-1, 1] to the integers 0 to 255 of an image file; the result is float32."""
    return images.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
