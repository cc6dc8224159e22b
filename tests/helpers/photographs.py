"""Pictures with the statistics of photographs, saved as the files of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BICUBIC = Image.Resampling.BICUBIC


def photographs(n: int, seed: int, size: int = 64) -> list[Image.Image]:
    """Textures whose power falls with frequency as that of photographs does."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    radius[0, 0] = 1

    def plane() -> NDArray[np.float64]:
        phases = np.exp(2j * np.pi * rng.random(radius.shape))
        values = np.fft.irfft2(phases / radius**1.2, (size, size))
        return np.asarray((values - values.mean()) / values.std())

    planes = [np.stack([plane() for _ in range(3)], 2) for _ in range(n)]
    return [Image.fromarray(np.clip(128 + 45 * one, 0, 255).astype(np.uint8)) for one in planes]


def saved(pictures: list[Image.Image], folder: str, size: int = 0, names: list[str] | None = None) -> str:
    """Save pictures, resized to `size`, as files of a folder, or under the given names."""
    for i, picture in enumerate(pictures):
        path = Path(folder) / (names[i] if names else f"{i:04d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture.resize((size, size), BICUBIC) if size else picture).save(path)
    return folder


def pictures_of(folder: str, seed: int) -> str:
    return saved(photographs(40, seed, 16), folder)
