"""Files of the cache that a power cut has left empty or cut off: what was in them is made again, and that is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.test_webdataset import plain, write
from zoo.data import Folder, Pool
from zoo.data.shards import cached_index


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of noise, of which one cannot be decoded."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "9.png").write_bytes(b"nothing")
    return folder


def read(photos: Path) -> Pool:
    return Folder(str(photos), resolution=8, batch_size=1, on_corrupt="skip").read()


@pytest.mark.parametrize("damage", [emptied, halved])
@pytest.mark.parametrize("name", ["kept.json", "content.json", "images.npy", "images_4.npy"])
def test_a_damaged_entry_is_made_again(
    name: str,
    damage: Callable[[Path], None],
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each start ended in a traceback until the user had found the file."""
    before = read(photos)
    images, smaller = np.array(before.at(8)), np.array(before.at(4))
    (path,) = (tmp_path / "cache" / "images").glob(f"*/{name}")
    damage(path)
    capsys.readouterr()
    after = read(photos)
    assert np.array_equal(after.at(8), images)
    assert np.array_equal(after.at(4), smaller)
    assert after.digest == before.digest
    said = capsys.readouterr().err
    assert "damaged" in said
    assert said.count("note: ") == 1
    capsys.readouterr()
    read(photos).at(4)
    assert "note: " not in capsys.readouterr().err


@pytest.mark.parametrize("damage", [emptied, halved])
def test_a_damaged_index_of_a_shard_is_made_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    tar = tmp_path / "a.tar"
    write(tar, plain(0, 4))
    before = cached_index(tar, "a.tar", "state", "", "")
    (path,) = (tmp_path / "cache" / "shards").glob("*.npz")
    damage(path)
    after = cached_index(tar, "a.tar", "state", "", "")
    assert np.array_equal(after.offsets, before.offsets)
    assert after.digest == before.digest
