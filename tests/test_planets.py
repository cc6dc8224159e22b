"""The pictures that recipes/planets.py draws: of what is known about a planet before it is drawn."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import planets
import pytest
from PIL import Image


def test_noise_has_unit_variance_and_no_jumps() -> None:
    points = np.random.default_rng(0).uniform(-50, 50, (20_000, 3))
    values = planets.Noise(np.random.default_rng(1), frequency=2.0, octaves=4)(points)
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1, abs=0.05)
    near = planets.Noise(np.random.default_rng(1), frequency=2.0, octaves=4)(points + 1e-4)
    assert np.abs(near - values).max() < 0.01  # continuous


def test_a_ramp_passes_through_its_colours() -> None:
    colours = [(0.0, 0.0, 1.0), (1.0, 0.5, 0.0), (1.0, 1.0, 1.0)]
    found = planets.ramp(colours, np.array([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]))
    assert np.allclose(found, [colours[0], colours[0], (0.5, 0.25, 0.5), colours[1], colours[2], colours[2]])


def test_shades_have_one_hue_and_grow_lighter() -> None:
    found = planets.shades(np.random.default_rng(0), 5)
    assert found.shape == (5, 3)
    assert (np.diff(found.max(axis=1)) > 0).all()
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("index", range(6))
def test_a_planet_is_a_disc_in_the_dark(index: int) -> None:
    image = planets.draw(index)
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.max() < 40
    assert image[20:44, 20:44].mean() > 2 * corners.mean()


def test_numbers_name_planets() -> None:
    drawn = [planets.draw(index) for index in range(8)]
    assert (planets.draw(3) == drawn[3]).all()
    assert len({image.tobytes() for image in drawn}) == 8


def test_the_command_writes_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, planets.__file__, "2", tmp_path / "new" / "planets"], check=True)
    files = sorted((tmp_path / "new" / "planets").iterdir())
    assert [file.name for file in files] == ["00000.png", "00001.png"]
    assert (np.asarray(Image.open(files[1])) == planets.draw(1)).all()
