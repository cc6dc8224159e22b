"""Tests of images in .npz and .npy files: layouts, types, classes, and that no pickle is ever read."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from zoo.data import Arrays, Folder
from zoo.data import array_rows as rows_module
from zoo.data.array_rows import NpzRows
from zoo.errors import DataError


@pytest.fixture
def images() -> NDArray[np.uint8]:
    """Twenty colour images (N, H, W, C) of noise, 8 px."""
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


def arrays(path: Path, **settings: Any) -> Arrays:
    data = Arrays(str(path), **{"resolution": 8, "held_out": 0, "batch_size": 1, **settings})
    data.setup()
    return data


def npz(path: Path, *unnamed: Any, compressed: bool = False, **named: Any) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, *unnamed, **named)
    return path


def npy(path: Path, array: Any, **options: Any) -> Path:
    np.save(path, array, **options)
    return path


def pixels(data: Arrays) -> NDArray[np.uint8]:
    return np.asarray(data.train.pool.images, np.uint8)


# --- layouts and types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["NHWC", "NCHW"])
@pytest.mark.parametrize("kind", ["npy", "npz", "compressed"])
def test_bytes_come_out_as_they_are(order: str, kind: str, images: NDArray[np.uint8], tmp_path: Path) -> None:
    array = images if order == "NHWC" else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    path = tmp_path / ("a.npy" if kind == "npy" else "a.npz")
    path = npy(path, array) if kind == "npy" else npz(path, array, compressed=kind == "compressed")
    data = arrays(path)
    assert np.array_equal(pixels(data), images)
    assert data.num_classes == 0


@pytest.mark.parametrize("shape", [(20, 8, 8), (20, 8, 8, 1), (20, 1, 8, 8)])
def test_grey_images_are_read_in_grey_and_in_colour(shape: tuple[int, ...], tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    path = npz(tmp_path / "a.npz", grey.reshape(shape))
    assert np.array_equal(pixels(arrays(path, channels=1)), grey)
    assert np.array_equal(pixels(arrays(path)), grey.repeat(3, 3))


def test_images_are_converted_as_files_are(tmp_path: Path) -> None:
    """Cropped, resized, put on a background and read in grey: the same pixels as from PNG files."""
    rgba = np.random.default_rng(0).integers(0, 256, (5, 12, 20, 4), dtype=np.uint8)
    (tmp_path / "set").mkdir()
    for i, image in enumerate(rgba):
        Image.fromarray(image).save(tmp_path / "set" / f"{i}.png")
    for settings in ({"channels": 1}, {"channels": 3, "background": "#102030"}):
        data = arrays(npz(tmp_path / "a.npz", rgba), **settings)
        files = Folder(str(tmp_path / "set"), resolution=8, held_out=0, batch_size=1, **settings)  # type: ignore[arg-type]
        files.setup()
        assert np.array_equal(pixels(data), files.train.pool.images)
    assert str(data.sizes()) == "20 x 12 px"
    assert data.describe() == "Arrays: 5 images (8 px, colour from 12 px), 5 to train on, 0 held out"


@pytest.mark.parametrize(
    ("dtype", "value_range", "low", "high"),
    [
        ("float32", (-1, 1), -1, 1),
        (">f8", (0, 1), 0, 1),
        ("float16", (0, 255), 0, 255),
        ("uint16", (0, 65535), 0, 65535),
        ("int64", (0, 4095), 0, 4095),
    ],
)
def test_a_stated_range_makes_levels(
    dtype: str, value_range: tuple[float, float], low: float, high: float, tmp_path: Path
) -> None:
    """Black, white, the middle, and values beyond, which are clipped: 0, 255, 127.5 and the ends again."""
    quarters = np.linspace(low, high, 5)
    array = np.zeros((5, 4, 4, 3), dtype)
    array[:] = quarters.reshape(5, 1, 1, 1)
    data = arrays(npz(tmp_path / "a.npz", array), value_range=value_range, resolution=4)
    expected = [0, 64, 127.5, 191, 255]
    assert np.abs(pixels(data)[:, 0, 0, 0] - expected).max() <= 0.5
    half = (value_range[0] + value_range[1]) / 2
    data = arrays(tmp_path / "a.npz", value_range=(value_range[0], half), resolution=4)
    assert pixels(data)[2:, 0, 0, 0].tolist() == [255, 255, 255]


def test_a_range_is_part_of_the_data(images: NDArray[np.uint8], tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", images / np.float32(255))
    digests = {arrays(path, value_range=value_range).digest for value_range in [(0, 1), (0, 2), (0, 1)]}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("array", "suggested"),
    [
        (np.linspace(-0.98, 0.99, 192, dtype=np.float32), "float32 from -0.98 to 0.99, .*data.value_range=\\[-1,1\\]"),
        (np.linspace(0, 1, 192), "float64 from 0 to 1, .*data.value_range=\\[0,1\\]"),
        (np.arange(192, dtype=np.int32) * 20, "int32 from 0 to 3820, .*data.value_range=\\[0,4095\\]"),
        (np.full(192, np.nan), "float64 from 0 to 1"),
    ],
)
def test_values_of_unknown_range_are_refused_with_one_that_suits(array: Any, suggested: str, tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", array.reshape(1, 8, 8, 3))
    with pytest.raises(DataError, match=rf"a.npz, array arr_0: its values are {suggested}"):
        arrays(path)


def test_an_image_with_nan_is_named_and_can_be_left_out(images: NDArray[np.uint8], tmp_path: Path) -> None:
    array = images / np.float32(255)
    array[3, 0, 0, 0] = np.nan
    path = npz(tmp_path / "a.npz", array)
    with pytest.raises(DataError, match=r"a.npz, array arr_0, image 3: it holds NaN or infinity. .*on_corrupt=skip"):
        arrays(path, value_range=(0, 1))
    assert np.array_equal(pixels(arrays(path, value_range=(0, 1), on_corrupt="skip")), np.delete(images, 3, axis=0))


# --- names and classes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["arr_1", "label", "labels", "y"])
@pytest.mark.parametrize("shape", [(20,), (20, 1)])
def test_classes_are_found(name: str, shape: tuple[int, ...], images: NDArray[np.uint8], tmp_path: Path) -> None:
    labels = np.arange(20, dtype=np.uint8) % 4
    path = npz(tmp_path / "a.npz", images, **{name: labels.reshape(shape)})
    for settings in ({}, {"labels": True}):
        data = arrays(path, **settings)
        assert data.train.pool.labels is not None
        assert data.train.pool.labels.tolist() == labels.tolist()
        assert data.num_classes == 4
    assert arrays(path, labels=False).num_classes == 0


def test_a_reference_batch_of_adm_is_read(images: NDArray[np.uint8], tmp_path: Path) -> None:
    """They hold statistics beside the images."""
    statistics = {name: np.zeros((8, 8)) for name in ("mu", "sigma", "mu_s", "sigma_s")}
    data = arrays(npz(tmp_path / "a.npz", images, **statistics))
    assert np.array_equal(pixels(data), images)
    assert data.num_classes == 0


def test_the_only_array_of_images_is_found_under_any_name(images: NDArray[np.uint8], tmp_path: Path) -> None:
    assert np.array_equal(pixels(arrays(npz(tmp_path / "a.npz", faces=images, ages=np.zeros(20)))), images)


def test_arrays_are_chosen_by_name(images: NDArray[np.uint8], tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", train=images, test=images[:5], train_y=np.ones(20, int))
    with pytest.raises(
        DataError, match=r"the arrays train \(20, 8, 8, 3\), test \(5, 8, 8, 3\), train_y \(20,\); it is not known"
    ):
        arrays(path)
    data = arrays(path, array="train", label_array="train_y")
    assert np.array_equal(pixels(data), images)
    assert data.num_classes == 2
    for setting in ("array", "label_array"):
        with pytest.raises(DataError, match=rf"data.{setting}=tran: .* has the arrays train, test, train_y. Did you"):
            arrays(path, **{"array": "train", setting: "tran"})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(19, int), r"has the shape \(19,\) and the type int64; class indices are whole numbers of the shape"),
        (np.zeros((20, 10), int), r"has the shape \(20, 10\)"),
        (np.zeros(20), r"the type float64"),
        (-np.ones(20, int), "Arrays has labels from -1 on"),
    ],
)
def test_what_are_no_classes_is_refused(labels: Any, message: str, images: NDArray[np.uint8], tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", images, labels)
    with pytest.raises(DataError, match=message):
        arrays(path)
    assert arrays(path, labels=False).num_classes == 0


def test_classes_that_are_not_there_are_said(images: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.labels=true, but .*a.npz has no classes; looked for arr_1, label, labe"):
        arrays(npz(tmp_path / "a.npz", images), labels=True)
    with pytest.raises(DataError, match=r"a.npy is a single array, without names and classes"):
        arrays(npy(tmp_path / "a.npy", images), labels=True)


# --- what is refused -------------------------------------------------------------------------------------------------


class Planted:
    """An object whose pickle makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["npy", "npz", "pickle", "labels"])
def test_a_pickle_is_never_read(kind: str, images: NDArray[np.uint8], tmp_path: Path) -> None:
    planted = np.array([Planted(tmp_path / "made")] * 20, dtype=object)
    path = tmp_path / ("a.npz" if kind in ("npz", "labels") else "a.npy")
    if kind == "npy":
        np.save(path, planted, allow_pickle=True)
    elif kind == "npz":
        np.savez(path, planted)
    elif kind == "labels":
        np.savez(path, images, planted)
    else:
        path.write_bytes(pickle.dumps(planted))
    what = "is no array of numbers as numpy.save writes it" if kind == "pickle" else "is an array of Python objects"
    with pytest.raises(DataError, match=what) as error:
        arrays(path)
    assert "can run code" in str(error.value)
    assert "numpy.savez(FILE, " in str(error.value)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 5, 8, 2), np.uint8), r"has the shape \(20, 5, 8, 2\) and the type uint8; images are numbers of"),
        (np.zeros(20, np.uint8), r"has the shape \(20,\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"has the shape \(0, 8, 8, 3\)"),
        (np.zeros((2, 8, 8, 3), complex), r"the type complex128"),
        (np.zeros((2, 8, 8, 3), "S3"), r"the type \|S3"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_what_are_no_images_is_refused(array: Any, message: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    with pytest.raises(DataError, match=message):
        arrays(npy(path, array) if kind == "npy" else npz(path, array))


def test_damaged_files_are_named(images: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*nowhere.npz \(data.root\). Give the path of an .npz"):
        arrays(tmp_path / "nowhere.npz")
    whole = npz(tmp_path / "a.npz", images).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut.npz is an .npz file that is cut off. Copy or write it again"):
        arrays(tmp_path / "cut.npz")
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    (tmp_path / "changed.npz").write_bytes(changed)
    with pytest.raises(DataError, match=r"changed.npz, array arr_0 cannot be read: Bad CRC-32 .*Copy or write the fi"):
        arrays(tmp_path / "changed.npz", on_corrupt="skip")  # which images are wrong is not known
    whole = npy(tmp_path / "a.npy", images).read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut.npy cannot be read: .*Copy or write the file again"):
        arrays(tmp_path / "cut.npy")
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty.npy is no array of numbers"):
        arrays(tmp_path / "empty.npy")


def test_an_array_by_columns_is_read_where_it_can_be(images: NDArray[np.uint8], tmp_path: Path) -> None:
    by_columns = np.asfortranarray(images)
    assert np.array_equal(pixels(arrays(npy(tmp_path / "a.npy", by_columns))), images)
    with pytest.raises(DataError, match=r"is stored by columns .*numpy.ascontiguousarray"):
        arrays(npz(tmp_path / "a.npz", by_columns))


# --- memory and the cache --------------------------------------------------------------------------------------------


def test_rows_of_an_npz_come_in_blocks_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "BLOCK", 1)
    array = np.arange(1000 * 6).reshape(1000, 2, 3)
    rows = NpzRows(npz(tmp_path / "a.npz", array, compressed=True), "arr_0")
    for i in (0, 63, 64, 999, 900, 5, 70, 1, 500):
        assert np.array_equal(rows[i], array[i])
        assert sum(len(block) for _, block in rows._blocks) <= 2 * rows_module.ROWS
    assert np.array_equal(rows.all(), array)


def test_reading_again_takes_the_cache_and_a_changed_file_does_not(images: NDArray[np.uint8], tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", images)
    digest = arrays(path).digest
    path.rename(tmp_path / "moved.npz")
    assert arrays(tmp_path / "moved.npz").digest == digest
    cache = tmp_path / "cache" / "images"
    assert len(list(cache.iterdir())) == 1
    assert arrays(npy(tmp_path / "a.npy", images)).digest == digest  # the same images, in another file
    images[0] = 7
    assert arrays(npz(tmp_path / "a.npz", images)).digest != digest
    assert len(list(cache.iterdir())) == 3
