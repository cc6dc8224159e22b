"""The pieces that recipes/earth.py cuts out of a map of the world."""

import subprocess
import sys
from pathlib import Path

import earth
import numpy as np
import pytest
from PIL import Image

OCEAN, FOREST, DESERT, SNOW = (10, 30, 90), (30, 50, 20), (180, 150, 100), (240, 240, 255)


@pytest.fixture(scope="module")
def world() -> np.ndarray:
    """Two blocks of forest in an ocean; one corner of the first is a gradient."""
    pixels = np.empty((2048, 1024, 3), dtype=np.uint8)
    pixels[:] = OCEAN
    pixels[512:640, 256:512] = FOREST
    pixels[512:576, 256:320] = np.arange(64 * 64).reshape(64, 64, 1) // 16  # no two orientations are the same
    return pixels


def test_colours_of_land_and_sea() -> None:
    assert list(earth.is_land(np.array([OCEAN, FOREST, DESERT, SNOW], dtype=np.uint8))) == [False, True, True, True]


def test_pieces_show_land_and_bear_the_number_of_their_block(world: np.ndarray) -> None:
    found = earth.pieces(world)
    assert len(found) == 2 * 16  # of each block of 128 pixels four times four pieces; none of the ocean
    assert {name.split("_")[0] for name in found} == {"010", "011"}  # eight blocks in a row of the map
    for name, piece in found.items():
        block, y, x = map(int, name.split("_"))
        top, left = earth.FIRST + block // 8 * 128, block % 8 * 128
        assert top <= y <= top + 64, "the piece lies in its block, so that blocks share no pixel"
        assert left <= x <= left + 64
        assert piece.shape == (64, 64, 3)


def test_a_piece_is_the_map_turned_or_mirrored(world: np.ndarray) -> None:
    piece, place = earth.pieces(world)["010_512_256"], world[512:576, 256:320]
    turned = [np.rot90(side, times) for side in (place, place[:, ::-1]) for times in range(4)]
    assert sum((piece == each).all() for each in turned) == 1


def test_the_command_writes_them(world: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(world).save(tmp_path / "world.png")
    subprocess.run([sys.executable, earth.__file__, tmp_path / "world.png", tmp_path / "new" / "earth"], check=True)
    files = sorted((tmp_path / "new" / "earth").iterdir())
    assert {file.stem for file in files} == set(earth.pieces(world))
    assert (np.asarray(Image.open(files[0])) == earth.pieces(world)[files[0].stem]).all()
