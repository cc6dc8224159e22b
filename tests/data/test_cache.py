"""Tests of the cache of decoded images: it is used again, noticed to be outdated, and never incomplete."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.data import Folder, Pool
from zoo.data.decode import Rendering, decode_once
from zoo.errors import DataError
from zoo.io.files import cache_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Write five images of grey levels 0, 20, ... into a folder."""
    folder = tmp_path / "set"
    folder.mkdir()
    for i in range(5):
        Image.new("L", (24, 24), 20 * i).save(folder / f"{i}.png")
    return folder


def folder(root: Path, **settings: Any) -> Folder:
    plain: dict[str, Any] = {"resolution": 8, "channels": 1, "held_out": 0, "batch_size": 1}
    data = Folder(str(root), **{**plain, **settings})
    data.setup()
    return data


def levels(root: Path, **settings: Any) -> list[int]:
    data = folder(root, **settings)
    levels: list[int] = data.train.batch(torch.arange(len(data.train))).images[:, 0, 0, 0].tolist()
    return levels


def entries() -> list[str]:
    """Return the entries of the cache."""
    images = cache_folder() / "images"
    return sorted(entry.name for entry in images.iterdir()) if images.exists() else []


def replace_quietly(path: Path) -> None:
    """Make a file unreadable as an image without changing its size or time."""
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_cache_is_where_zoo_cache_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("ZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    assert cache_folder() == tmp_path / "there" / "zoo"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for unusable in ("", "relative", None):
        monkeypatch.delenv("XDG_CACHE_HOME") if unusable is None else monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache_folder() == tmp_path / "home" / ".cache" / "zoo"


def test_reading_again_opens_no_image(root: Path) -> None:
    assert levels(root) == [0, 20, 40, 60, 80]
    for path in root.iterdir():
        replace_quietly(path)
    assert levels(root) == [0, 20, 40, 60, 80]
    assert len(entries()) == 1


def test_reading_elsewhere_does_open_them(root: Path) -> None:
    levels(root)
    for path in root.iterdir():
        replace_quietly(path)
    with pytest.raises(DataError):  # which shows that the test above can fail
        levels(root, resolution=4)


def test_a_changed_file_is_decoded_anew(root: Path) -> None:
    before = folder(root).digest
    Image.new("L", (24, 24), 200).save(root / "2.png")
    os.utime(root / "2.png", ns=(0, 12345))
    assert levels(root) == [0, 20, 200, 60, 80]
    assert len(entries()) == 2
    assert folder(root).digest != before


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_an_added_removed_or_renamed_file_is_noticed(change: str, root: Path) -> None:
    levels(root)
    if change == "add":
        Image.new("L", (24, 24), 240).save(root / "9.png")
        assert levels(root) == [0, 20, 40, 60, 80, 240]
    elif change == "remove":
        (root / "1.png").unlink()
        assert levels(root) == [0, 40, 60, 80]
    else:
        (root / "1.png").rename(root / "8.png")
        assert levels(root) == [0, 40, 60, 80, 20]


def test_other_sizes_and_channels_are_other_entries(root: Path) -> None:
    for settings in ({}, {"resolution": 16}, {"channels": 3}, {"on_corrupt": "skip"}):
        assert levels(root, **settings) == [0, 20, 40, 60, 80]
    assert len(entries()) == 4


def test_batch_size_split_and_seed_share_one_entry(root: Path) -> None:
    for settings in ({}, {"batch_size": 3}, {"held_out": 2}, {"seed": 4}, {"split_seed": 4}, {"flip": True}):
        folder(root, **settings)
    assert len(entries()) == 1


def test_a_moved_folder_needs_no_new_decoding(root: Path, tmp_path: Path) -> None:
    digest = folder(root).digest
    root.rename(tmp_path / "moved")
    assert folder(tmp_path / "moved").digest == digest
    assert len(entries()) == 1


def test_a_copy_of_other_times_is_the_same_data(root: Path, tmp_path: Path) -> None:
    digest = folder(root).digest
    shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    for path in (tmp_path / "copy").iterdir():
        os.utime(path, ns=(0, 54321))
    assert folder(tmp_path / "copy").digest == digest
    Image.new("L", (24, 24), 200).save(tmp_path / "copy" / "2.png")
    assert folder(tmp_path / "copy").digest != digest
    assert folder(root, resolution=4).digest != digest


def test_after_success_only_the_whole_map_is_there(root: Path) -> None:
    levels(root)
    (entry,) = entries()
    there = sorted(path.name for path in (cache_folder() / "images" / entry).iterdir())
    assert there == ["content.json", "images.npy", "kept.json"]
    assert np.load(cache_folder() / "images" / entry / "images.npy").shape == (5, 8, 8, 1)


def test_after_leaving_out_images_the_map_holds_only_the_rest(root: Path) -> None:
    replace_quietly(root / "1.png")
    assert levels(root, on_corrupt="skip") == [0, 40, 60, 80]
    (entry,) = entries()
    there = sorted(path.name for path in (cache_folder() / "images" / entry).iterdir())
    assert there == ["content.json", "images.npy", "kept.json"]
    assert np.load(cache_folder() / "images" / entry / "images.npy").shape == (4, 8, 8, 1)


@pytest.mark.parametrize("on_corrupt", ["raise", "skip"])
def test_after_failure_nothing_is_there(on_corrupt: str, root: Path) -> None:
    for path in root.iterdir():
        replace_quietly(path)
    with pytest.raises(DataError):
        levels(root, on_corrupt=on_corrupt)
    assert entries() == []


def test_after_a_repair_the_set_is_read(root: Path) -> None:
    good = (root / "3.png").read_bytes()
    (root / "3.png").write_bytes(good[:30])
    with pytest.raises(DataError):
        levels(root)
    (root / "3.png").write_bytes(good)
    assert levels(root) == [0, 20, 40, 60, 80]
    assert len(entries()) == 1


def once(
    open_image: Any, count: int = 5, held_out: NDArray[np.int64] | None = None, crop: Any = None, **settings: Any
) -> Pool:
    return decode_once(
        open_image,
        count,
        np.arange(count),
        source="a test",
        name_of=lambda i: f"image {i}",
        rendering=Rendering(8, 1, crop),
        held_out=held_out,
        **settings,
    )


def grey(i: int) -> Image.Image:
    return Image.new("L", (8, 8), 10 * i)


def test_an_interrupted_decoding_leaves_nothing_behind() -> None:
    def interrupted(i: int) -> Image.Image:
        if i == 3:
            raise KeyboardInterrupt
        return grey(i)

    with pytest.raises(KeyboardInterrupt):
        once(interrupted)
    assert entries() == []
    assert once(grey).images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]


def test_more_images_than_one_span_of_readers_keep_their_order() -> None:
    count = 2500  # spans are of 1,024
    pool = once(lambda i: Image.fromarray(np.full((8, 8), i % 251, dtype=np.uint8)), count)
    assert pool.images[:, 5, 5, 0].tolist() == [i % 251 for i in range(count)]


def test_reserved_images_stay_reserved_when_others_are_left_out() -> None:
    def open_image(i: int) -> Image.Image:
        if i in (1, 7):
            raise OSError("planted")
        return grey(i)

    pool = once(open_image, 10, np.array([6, 7, 8, 9]), on_corrupt="skip")
    assert pool.images[:, 0, 0, 0].tolist() == [0, 20, 30, 40, 50, 60, 80, 90]
    assert pool.labels is not None
    assert pool.labels.tolist() == [0, 2, 3, 4, 5, 6, 8, 9]
    assert pool.held_out is not None
    assert pool.labels[pool.held_out].tolist() == [6, 8, 9]


def test_a_crop_is_cut_before_the_resize() -> None:
    def framed(i: int) -> Image.Image:
        image = Image.new("L", (30, 40), 0)
        image.paste(200, (10, 20, 18, 28))
        return image

    pool = once(framed, 2, crop=(10, 20, 18, 28))
    assert (pool.images == 200).all()
    assert (once(framed, 2).images != 200).any()
    assert len(entries()) == 2


def test_decoded_images_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        once(grey).images[0] = 0


def test_labels_are_part_of_the_digest_but_not_of_the_decoding() -> None:
    pools = [
        decode_once(grey, 4, labels, source="a test", name_of=str, rendering=Rendering(8, 1))
        for labels in (None, np.array([0, 1, 0, 1]), np.array([1, 1, 0, 0]))
    ]
    assert len({pool.digest for pool in pools}) == 3
    assert len(entries()) == 1
