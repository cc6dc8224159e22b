"""Points in the plane with known modes: a ring and a grid of Gaussians, as images of one pixel and two channels.

Radius, spacing and deviation are those of PacGAN's experiments (Lin et al. 2018, arXiv:1712.04086), scaled into
[-1, 1]; mode counts are only comparable at the same scale and deviation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.images import Images
from zoo.data.pool import Pool, content_digest


class Points(Images):
    """Equally likely Gaussians around known centres. Points are (N, 2, 1, 1): x and y as two channels of one pixel.

    A subclass sets `centres`, (modes, 2), and `deviation`, both in [-1, 1] units.

    Args:
        samples: how many points to draw; a share is held out.
        resolution: 1; there is nothing else to choose.
        channels: 2, x and y.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    centres: NDArray[np.float32]
    deviation: float

    def __init__(self, *, samples: int = 100_000, resolution: int = 1, channels: int = 2, **images: Any) -> None:
        if (resolution, channels) != (1, 2):
            raise ValueError(
                f"{type(self).__name__} is points in the plane: model and data need resolution=1 and channels=2; got "
                f"{resolution} and {channels}"
            )
        super().__init__(resolution=resolution, channels=channels, **images)
        self.samples = samples

    def read(self) -> Pool:
        """Draw all points; the label of each is its mode."""
        generator = np.random.default_rng(self.split_seed)
        labels = generator.integers(len(self.centres), size=self.samples)
        points = self.centres[labels] + self.deviation * generator.standard_normal((self.samples, 2))
        images = points.astype(np.float32).reshape(self.samples, 1, 1, 2)
        return Pool(images, labels, content_digest(images, labels))


class Ring(Points):
    """Gaussians on a circle: radius 0.8, deviation 0.008 (PacGAN's 1 and 0.01, divided by 1.25).

    Args:
        modes: how many.
        points: settings of `Points` and `Images`.
    """

    deviation = 0.01 / 1.25

    def __init__(self, *, modes: int = 8, **points: Any) -> None:
        super().__init__(**points)
        angles = 2 * np.pi * np.arange(modes) / modes  # without the end point, else two modes coincide
        self.centres = (np.stack([np.cos(angles), np.sin(angles)], axis=1) / 1.25).astype(np.float32)


class Grid(Points):
    """Gaussians on a square grid: spacing 0.4, deviation 0.01 (PacGAN's 2 and 0.05, divided by 5).

    Args:
        side: modes along each axis; 5 fill [-0.8, 0.8].
        points: settings of `Points` and `Images`.
    """

    deviation = 0.05 / 5

    def __init__(self, *, side: int = 5, **points: Any) -> None:
        super().__init__(**points)
        line = 2.0 * (np.arange(side) - (side - 1) / 2) / 5
        self.centres = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2).astype(np.float32)
