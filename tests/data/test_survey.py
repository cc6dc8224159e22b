"""What the files of a folder are: counted on a folder whose content is known."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data import Folder, Zip
from zoo.data.survey import fitting_resolution, survey
from zoo.errors import DataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six images in two folders, a damaged file, one of another kind and a hidden one."""
    root = tmp_path / "photos"
    for folder in ("cat", "dog"):
        (root / folder).mkdir(parents=True)
    Image.new("RGB", (100, 50), "red").save(root / "cat" / "a.png")
    Image.new("RGBA", (60, 60), (0, 0, 255, 128)).save(root / "cat" / "b.png")
    Image.new("L", (40, 80), 128).save(root / "cat" / "c.png")
    for k in range(3):
        Image.new("RGB", (256, 256), "green").save(root / "dog" / f"{k}.jpg")
    (root / "dog" / "broken.png").write_bytes(b"not an image")
    (root / "dog" / "notes.heic").write_bytes(b"x")
    (root / ".hidden.png").write_bytes(b"x")
    return root


def test_a_folder(photos: Path) -> None:
    found = survey(Folder(str(photos), resolution=32, batch_size=1))
    assert (found.count, found.num_unreadable, found.transparent) == (6, 1, 1)
    assert sorted(found.sides) == [40, 50, 60, 256, 256, 256]
    assert found.long_share == pytest.approx(2 / 6)
    assert (found.coloured, found.decoded, found.is_grey) == (pytest.approx(5 / 6), 6, False)
    assert found.class_sizes == {"cat": 3, "dog": 4}
    assert found.left_out == {".heic": 1, "hidden": 1}
    assert [text.partition(": ")[0] for text in found.unreadable] == ["dog/broken.png"]
    assert found.share_below(64) == pytest.approx(0.5)
    assert fitting_resolution(found) == 32


def test_an_archive_of_it(photos: Path) -> None:
    archive = shutil.make_archive(str(photos.parent / "archive"), "zip", photos.parent, "photos")
    found = survey(Zip(archive, resolution=32, batch_size=1))
    assert (found.count, found.transparent) == (6, 1)
    assert found.class_sizes == {"cat": 3, "dog": 4}


def test_grey_images_and_sizes(tmp_path: Path) -> None:
    for k in range(20):
        Image.fromarray(np.full((130, 129), k, np.uint8)).convert("RGB").save(tmp_path / f"{k}.png")
    found = survey(Folder(str(tmp_path), resolution=32, batch_size=1))
    assert found.is_grey
    assert found.class_sizes == {}  # no subfolders
    assert (fitting_resolution(found), fitting_resolution(found, 64)) == (128, 64)


def test_parts_of_a_set_and_loose_files_are_no_classes(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    source = Folder(str(tmp_path), resolution=8, batch_size=1)
    assert survey(source).class_sizes == {}
    (tmp_path / "test").rename(tmp_path / "dogs")
    assert survey(source).class_sizes == {"dogs": 1, "train": 1}
    Image.new("RGB", (8, 8)).save(tmp_path / "loose.png")
    assert survey(source).class_sizes == {}


def test_a_folder_in_which_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"none of the 1 files below .* can be read; the first: a\.png: it is no image"):
        survey(Folder(str(tmp_path), resolution=8, batch_size=1))
