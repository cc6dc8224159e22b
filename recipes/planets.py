"""Draws the pictures of recipes/progan_planets.yaml: always the same ones, each from its number.
python recipes/planets.py 12000 data/planets

A planet is noise on a sphere: waves of random directions, an octave above an octave, coloured by its kind, lit by a
sun from a random side. No two are alike, so that a held-out planet is as new to the networks as a generated one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, FINE = 64, 3  # pixels; each is the mean of FINE x FINE, for soft edges
KINDS = {"ocean": 0.26, "desert": 0.2, "giant": 0.22, "ringed": 0.08, "ice": 0.12, "lava": 0.12}
OCEAN = [
    (0.03, 0.08, 0.3),
    (0.08, 0.3, 0.55),
    (0.8, 0.72, 0.48),
    (0.24, 0.5, 0.16),
    (0.42, 0.36, 0.24),
    (1.0, 1.0, 1.0),
]
ICE = [(0.3, 0.5, 0.68), (0.62, 0.8, 0.9), (0.88, 0.95, 1.0), (1.0, 1.0, 1.0)]
LAVA = [(1.0, 0.9, 0.4), (1.0, 0.4, 0.05), (0.3, 0.06, 0.03), (0.16, 0.13, 0.13), (0.3, 0.26, 0.25)]


class Noise:
    """A random smooth field over space: about normal, its variation halved from octave to octave."""

    def __init__(self, rng: np.random.Generator, frequency: float, octaves: int, waves: int = 12) -> None:
        directions = rng.normal(size=(octaves, waves, 3))
        directions /= np.linalg.norm(directions, axis=2, keepdims=True)
        scales = frequency * 2.0 ** np.arange(octaves)
        self.waves = (directions * scales[:, None, None]).reshape(-1, 3)
        self.phases = rng.uniform(0, 2 * np.pi, len(self.waves))
        amplitudes = np.repeat(0.55 ** np.arange(octaves), waves)
        self.amplitudes = amplitudes / np.sqrt((amplitudes**2).sum() / 2)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Its values (N) at points (N, 3)."""
        return np.cos(points @ self.waves.T + self.phases) @ self.amplitudes


def ramp(colours: list[tuple[float, ...]] | np.ndarray, values: np.ndarray) -> np.ndarray:
    """Colours (N, 3) at heights (N) from 0, the first colour, to 1, the last."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(values, stops, channel) for channel in np.asarray(colours).T], axis=-1)


def shades(rng: np.random.Generator, count: int) -> np.ndarray:
    """Neighbouring colours (count, 3): around one random hue, from dark to light."""
    hue = rng.uniform(0, 1) + rng.normal(0, 0.06, count)
    saturation, value = rng.uniform(0.25, 0.75), np.linspace(rng.uniform(0.3, 0.5), rng.uniform(0.85, 1), count)
    wheel = np.clip(np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return value[:, None] * (1 - saturation * (1 - wheel))


def surface(kind: str, rng: np.random.Generator, points: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, ...]:
    """Colours (N, 3) of points (N, 3) on the unit sphere, and how far each shines by itself (N)."""
    dark = np.zeros(len(points))
    height = Noise(rng, rng.uniform(1.2, 2.4), 5)(points)
    if kind in ("giant", "ringed"):
        warped = latitude * rng.uniform(2, 5) + rng.uniform(0.1, 0.35) * height
        bands = Noise(rng, 1.5, 3)(np.stack([warped, 0 * warped, 0 * warped], axis=1))
        colours = shades(rng, 6)[rng.permutation(6)]
        return ramp(colours, 0.5 + 0.25 * bands), dark
    if kind == "ocean":
        level = rng.uniform(-0.5, 0.6)
        land = np.where(height > level, 0.42 + 0.3 * (height - level), 0.3 + 0.25 * (height - level))
        cold = np.clip((np.abs(latitude) - rng.uniform(0.7, 0.95) + 0.04 * height) * 8, 0, 1)
        colours = ramp(OCEAN, land) * (1 - cold[:, None]) + cold[:, None]
        clouds = np.clip((Noise(rng, 2.2, 5)(points * [1, 1.8, 1]) - rng.uniform(0.2, 1.2)) * 1.2, 0, 0.95)[:, None]
        return colours * (1 - clouds) + clouds, dark
    if kind == "lava":
        cracks = np.clip(np.abs(height) * rng.uniform(0.6, 1.2), 0, 1)
        return ramp(LAVA, cracks), np.clip(1 - cracks * 2.5, 0, 1)
    if kind == "ice":
        cracks = np.clip(np.abs(Noise(rng, 2.0, 4)(points)) * 4, 0, 1)
        return ramp(ICE, 0.55 + 0.2 * height) * (0.72 + 0.28 * cracks[:, None]), dark
    return ramp(shades(rng, 5), 0.5 + 0.24 * height), dark


def draw(index: int) -> np.ndarray:
    """Planet number `index`, bytes (SIZE, SIZE, 3)."""
    rng = np.random.default_rng([2026, index])
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    axis = np.array([rng.normal(0, 0.35), 1.0, rng.uniform(0.15, 0.55) * rng.choice([-1, 1])])
    axis /= np.linalg.norm(axis)
    sun = np.array([rng.normal(0, 0.7), rng.normal(0, 0.5), rng.uniform(0.35, 1.0)])
    sun /= np.linalg.norm(sun)
    radius = rng.uniform(0.44, 0.52) if kind == "ringed" else rng.uniform(0.66, 0.86)

    steps = (np.arange(SIZE * FINE) + 0.5) / (SIZE * FINE) * 2 - 1
    x, y = (grid.ravel() / radius for grid in np.meshgrid(steps, -steps))
    distance = np.hypot(x, y)
    z = np.sqrt(np.clip(1 - distance**2, 0, None))
    points, on = np.stack([x, y, z], axis=1), distance < 1
    glow = shades(rng, 1)[0] if kind in ("giant", "ringed", "desert") else np.array([0.45, 0.65, 1.0])
    if kind == "lava":
        glow = np.array([1.0, 0.35, 0.1])

    haze = rng.uniform(0.15, 0.45) * np.exp(-np.clip(distance - 1, 0, None) * 14) * np.clip(0.35 + points @ sun, 0, 1)
    image = np.array([0.012, 0.014, 0.03]) + haze[:, None] * glow
    colours, shine = surface(kind, rng, points[on], points[on] @ axis)
    light = np.clip(0.06 + 1.15 * np.clip(points[on] @ sun + 0.1, 0, None), 0, 1.15)[:, None]
    rim = (1 - z[on, None]) ** 2.5 * light * rng.uniform(0.3, 0.9)
    lit = colours * np.maximum(light, shine[:, None])
    image[on] = lit * (1 - 0.6 * rim) + 0.6 * rim * glow
    if kind == "ringed":
        image = ring(rng, image, points, np.where(on, z, -1.0), axis, sun)
    pixels = image.reshape(SIZE, FINE, SIZE, FINE, 3).mean(axis=(1, 3))
    return np.round(np.clip(pixels, 0, 1) ** (1 / 1.4) * 255).astype(np.uint8)


def ring(
    rng: np.random.Generator,
    image: np.ndarray,
    points: np.ndarray,
    front: np.ndarray,
    axis: np.ndarray,
    sun: np.ndarray,
) -> np.ndarray:
    """The picture (N, 3) with a ring around the equator; `front` (N) is how near the planet comes, -1 beside it."""
    z = -(points[:, :2] @ axis[:2]) / axis[2]
    place = np.stack([points[:, 0], points[:, 1], z], axis=1)
    far = np.linalg.norm(place, axis=1)
    inner, outer = rng.uniform(1.25, 1.45), rng.uniform(1.7, 1.9)
    strips = 0.65 + 0.3 * Noise(rng, 9.0, 2)(np.stack([far, 0 * far, 0 * far], axis=1))
    along = place @ sun  # the planet's shadow falls where the ring lies behind it, seen from the sun
    shadow = (along < 0) & (np.linalg.norm(place - along[:, None] * sun, axis=1) < 1)
    edge = np.clip((far - inner) * 20, 0, 1) * np.clip((outer - far) * 20, 0, 1)
    cover = (np.clip(strips, 0.1, 0.95) * edge * (z > np.where(front < 0, -np.inf, front)))[:, None]
    colour = shades(rng, 3)[2] * np.where(shadow, 0.1, 0.95)[:, None]
    return image * (1 - cover) + colour * cover


def main(count: str, folder: str) -> None:
    """Write `count` planets as PNG files into `folder`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for index in range(int(count)):
        Image.fromarray(draw(index)).save(Path(folder) / f"{index:05d}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
