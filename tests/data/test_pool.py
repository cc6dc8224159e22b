"""Tests of the smaller versions of a pool, on which the stages of a growing model train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zoo.data import Pool
from zoo.data import pool as module
from zoo.data.pool import Split
from zoo.io import files


def pixels(count: int, size: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def boxes(images: NDArray[Any], resolution: int) -> NDArray[np.float64]:
    """Return exact means over squares of pixels."""
    factor = images.shape[1] // resolution
    result = np.empty((len(images), resolution, resolution, images.shape[3]))
    for row in range(resolution):
        for column in range(resolution):
            box = images[:, row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            result[:, row, column] = box.astype(np.float64).mean((1, 2))
    return result


def mapped(folder: Path, images: NDArray[Any]) -> Pool:
    np.save(folder / "images.npy", images)
    return Pool(np.load(folder / "images.npy", mmap_mode="r"), None, "digest")


@pytest.mark.parametrize("resolution", [8, 4, 2])
def test_smaller_images_are_means_over_boxes_rounded_once(resolution: int) -> None:
    images = pixels(5, 16)
    smaller = Pool(images, None, "digest").at(resolution)
    assert smaller.dtype == np.uint8
    assert np.array_equal(smaller, np.rint(boxes(images, resolution)))


def test_rounding_at_every_halving_would_differ() -> None:
    images = np.zeros((1, 4, 4, 1), np.uint8)
    images[0, :, :, 0] = [[1, 2, 1, 2], [1, 2, 1, 2], [1, 2, 0, 1], [1, 1, 0, 1]]
    pool = Pool(images, None, "digest")
    assert pool.at(2)[0, :, :, 0].tolist() == [[2, 2], [1, 0]]  # 1.5, 1.5, 1.25 and 0.5, halves to even
    assert pool.at(1).item() == 1  # 19 / 16
    images[0, 2:, 2:] = 1
    assert pool.at(2)[0, :, :, 0].tolist() == [[2, 2], [1, 0]]  # made once
    again = Pool(images, None, "digest")
    assert again.at(2)[0, :, :, 0].tolist() == [[2, 2], [1, 1]]  # whose mean is 6 / 4, so 2
    assert again.at(1).item() == 1  # 20 / 16


def test_the_pools_own_resolution_is_the_pool_itself() -> None:
    images = pixels(3, 4)
    assert Pool(images, None, "digest").at(4) is images


def test_each_size_is_made_once() -> None:
    pool = Pool(pixels(3, 8), None, "digest")
    assert pool.at(4) is pool.at(4)
    assert pool.at(2) is not pool.at(4)


def test_more_images_than_one_portion() -> None:
    images = pixels(2001, 4, 1)
    assert np.array_equal(Pool(images, None, "digest").at(2), np.rint(boxes(images, 2)))


def test_float_images_stay_float() -> None:
    images = (pixels(3, 8) / 127.5 - 1).astype(np.float32)
    smaller = Pool(images, None, "digest").at(4)
    assert smaller.dtype == np.float32
    np.testing.assert_allclose(smaller, boxes(images, 4), atol=1e-6)


def test_a_memory_map_leaves_a_file_that_the_next_start_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pixels(6, 16)
    first = mapped(tmp_path, images).at(4)
    assert isinstance(first, np.memmap)
    assert np.array_equal(first, np.rint(boxes(images, 4)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npy", "images_4.npy"]  # and no scratch file

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(module.np, "rint", never)
    again = Pool(np.load(tmp_path / "images.npy", mmap_mode="r"), None, "digest").at(4)
    assert isinstance(again, np.memmap)
    assert np.array_equal(again, first)


def test_a_start_that_dies_midway_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = mapped(tmp_path, pixels(6, 16))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pool.at(4)
    assert [path.name for path in tmp_path.iterdir()] == ["images.npy"]
    assert np.array_equal(pool.at(4), np.rint(boxes(pool.images, 4)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npy", "images_4.npy"]


def test_a_split_gives_its_own_images_and_labels_at_each_size() -> None:
    images = pixels(10, 8)
    split = Split(Pool(images, np.arange(10), "digest"), np.array([9, 2, 5]))
    batch = split.batch(torch.tensor([2, 0]), 4)
    assert batch.labels is not None
    assert batch.labels.tolist() == [5, 9]
    assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), np.rint(boxes(images[[5, 9]], 4)))
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert split.batch(torch.tensor([0])).images.shape == (1, 3, 8, 8)
