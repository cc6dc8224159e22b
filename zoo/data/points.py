"""Points in the plane with known modes: a ring and a grid of Gaussians, as images of one pixel and two channels.

Radius, spacing and standard deviation are those of PacGAN's experiments (Lin et al. 2018, arXiv:1712.04086), scaled to
[-1, 1]. Mode counts are only comparable at the same scale and standard deviation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.images import Images
from zoo.data.pool import Pool, content_digest


class Points(Images):
    """A mixture of equally likely Gaussians around known centres; a point is an image (2, 1, 1) with channels x and y.

    Args:
        samples: number of points to draw; a share of them is held out.
        resolution: 1; no other value is possible.
        channels: 2, for x and y.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    centres: NDArray[np.float32]
    """Centres of the modes (modes, 2) in [-1, 1], set by a subclass."""

    deviation: float
    """Standard deviation of each mode, set by a subclass."""

    def __init__(self, *, samples: int = 100_000, resolution: int = 1, channels: int = 2, **images: Any) -> None:
        if (resolution, channels) != (1, 2):
            raise ValueError(
                f"{type(self).__name__} is points in the plane: model and data need resolution=1 and channels=2; got "
                f"{resolution} and {channels}"
            )
        super().__init__(resolution=resolution, channels=channels, **images)
        self.samples = samples

    def read(self) -> Pool:
        """Draw all points; the label of a point is its mode."""
        generator = np.random.default_rng(self.split_seed)
        labels = generator.integers(len(self.centres), size=self.samples)
        points = self.centres[labels] + self.deviation * generator.standard_normal((self.samples, 2))
        images = points.astype(np.float32).reshape(self.samples, 1, 1, 2)
        return Pool(images, labels, content_digest(images, labels))


class Ring(Points):
    """Gaussians on a circle with radius 0.8 and standard deviation 0.008 (PacGAN's 1 and 0.01, divided by 1.25).

    Args:
        modes: number of Gaussians.
        points: settings of `Points` and `Images`.
    """

    deviation = 0.01 / 1.25

    def __init__(self, *, modes: int = 8, **points: Any) -> None:
        super().__init__(**points)
        angles = 2 * np.pi * np.arange(modes) / modes  # without the end point, because two modes would coincide
        self.centres = (np.stack([np.cos(angles), np.sin(angles)], axis=1) / 1.25).astype(np.float32)


class Grid(Points):
    """Gaussians on a square grid with spacing 0.4 and standard deviation 0.01 (PacGAN's 2 and 0.05, divided by 5).

    Args:
        side: number of Gaussians along each axis; 5 extend from -0.8 to 0.8.
        points: settings of `Points` and `Images`.
    """

    deviation = 0.05 / 5

    def __init__(self, *, side: int = 5, **points: Any) -> None:
        super().__init__(**points)
        line = 2.0 * (np.arange(side) - (side - 1) / 2) / 5
        self.centres = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2).astype(np.float32)
