"""Tests of public data sets: the publisher's parts, and instructions if files are missing. Nothing is downloaded.

torchvision checks the digests of most sets, so a test can write files only for the others: MNIST, FashionMNIST,
unpacked ImageNet, and LSUN.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.data import CIFAR10, CIFAR100, LSUN, MNIST, STL10, SVHN, CelebA, FashionMNIST, ImageNet, Split
from zoo.data.torchvision_sets import TorchvisionSet
from zoo.errors import DataError
from zoo.io.files import cache_folder

ALL = [MNIST, FashionMNIST, CIFAR10, CIFAR100, SVHN, STL10, CelebA, ImageNet, LSUN]


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write a file in MNIST's format: two zeros, the type (8: unsigned byte), number and lengths of axes, data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lengths = b"".join(struct.pack(">I", length) for length in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + lengths + array.tobytes())


def write_mnist(root: Path, kind: type[TorchvisionSet] = MNIST, train: int = 40, test: int = 10) -> NDArray[np.uint8]:
    """Write a small set in torchvision's layout and return all pixels (N, 28, 28), the test part last.

    Labels are i % 10.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (train + test, 28, 28), dtype=np.uint8)
    for prefix, part in (("train", pixels[:train]), ("t10k", pixels[train:])):
        raw = root / kind.__name__ / "raw"
        write_idx(raw / f"{prefix}-images-idx3-ubyte", part)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(len(part), dtype=np.uint8) % 10)
    return pixels


def ready(kind: type[TorchvisionSet], root: Path, **settings: Any) -> TorchvisionSet:
    plain: dict[str, Any] = {"resolution": 28, "channels": 1, "batch_size": 4}
    data = kind(root=str(root), **{**plain, **settings})
    data.setup()
    return data


def everything(split: Split) -> tuple[NDArray[np.uint8], list[int] | None]:
    """Return images (N, H, W, C) and labels (N,)."""
    batch = split.batch(torch.arange(len(split)))
    return batch.images.permute(0, 2, 3, 1).numpy(), None if batch.labels is None else batch.labels.tolist()


# --- MNIST and FashionMNIST ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_the_held_out_part_is_the_publishers(kind: type[TorchvisionSet], tmp_path: Path) -> None:
    pixels = write_mnist(tmp_path, kind)
    data = ready(kind, tmp_path, held_out=0.5)  # which has no effect if the publisher has a split
    for split, expected in ((data.train, pixels[:40]), (data.held_out, pixels[40:])):
        images, labels = everything(split)
        assert np.array_equal(images[:, :, :, 0], expected)
        assert labels == [i % 10 for i in range(len(expected))]
    assert data.num_classes == 10
    assert len(data.train.pool.class_names) == 10


def test_a_set_is_enlarged_and_coloured_as_asked(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    images, _ = everything(ready(MNIST, tmp_path, resolution=32, channels=3).train)
    assert images.shape == (40, 32, 32, 3)
    assert np.array_equal(images[..., 0], images[..., 1])
    assert np.array_equal(images[..., 0], images[..., 2])
    assert len(everything(ready(MNIST, tmp_path, resolution=32, channels=1).held_out)[0]) == 10


def test_parts_with_other_images_are_another_entry(tmp_path: Path) -> None:
    write_mnist(tmp_path / "a")
    write_mnist(tmp_path / "b", train=41)
    first, second = ready(MNIST, tmp_path / "a"), ready(MNIST, tmp_path / "b")
    assert (len(first.train), len(second.train)) == (40, 41)
    assert first.digest != second.digest
    assert len(list((cache_folder() / "images").iterdir())) == 2


def test_two_sets_of_the_same_sizes_are_not_confused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    pixels = write_mnist(tmp_path, FashionMNIST)[:, ::-1]
    for part, rows in (("train", pixels[:40]), ("t10k", pixels[40:])):
        write_idx(tmp_path / "FashionMNIST" / "raw" / f"{part}-images-idx3-ubyte", np.ascontiguousarray(rows))
    digits, clothes = ready(MNIST, tmp_path), ready(FashionMNIST, tmp_path)
    assert np.array_equal(everything(clothes.train)[0], everything(digits.train)[0][:, ::-1])


def test_reading_again_uses_the_cache(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    digest = ready(MNIST, tmp_path).digest
    (entry,) = (cache_folder() / "images").iterdir()
    made = (entry / "images.npy").stat().st_mtime_ns
    assert ready(MNIST, tmp_path).digest == digest
    assert (entry / "images.npy").stat().st_mtime_ns == made


@pytest.mark.parametrize("length", [0, 3, 100, 5000])
def test_a_truncated_file_is_the_users_to_mend(length: int, tmp_path: Path) -> None:
    write_mnist(tmp_path)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="MNIST"):
        ready(MNIST, tmp_path)


# --- what is missing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_a_missing_set_is_named_with_three_ways_on(kind: type[TorchvisionSet], tmp_path: Path) -> None:
    if kind is LSUN:
        pytest.importorskip("lmdb")
    with pytest.raises(DataError) as error:
        ready(kind, tmp_path / "nowhere", channels=3)
    text = str(error.value)
    for part in (
        kind.__name__,
        str(tmp_path / "nowhere"),
        "three ways on",
        "1. ",
        "2. by hand: ",
        "data.class=Folder",
        "data.class=Digits",
    ):
        assert part in text


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, CIFAR10, CIFAR100, SVHN, STL10, CelebA])
def test_a_set_that_torchvision_fetches_says_how(kind: type[TorchvisionSet], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.download=true fetches it"):
        ready(kind, tmp_path)


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("kind", [ImageNet, LSUN])
def test_no_download_is_promised_where_torchvision_has_none(
    kind: type[TorchvisionSet], download: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)  # as if it were not installed
    with pytest.raises(DataError) as error:
        ready(kind, tmp_path, download=download)
    assert "data.download=true fetches it" not in str(error.value)
    assert "check the connection" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (CelebA, ["img_align_celeba.zip", "list_eval_partition.txt", "celeba/"]),
        (ImageNet, ["image-net.org", "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "devkit_t12.tar.gz"]),
        (LSUN, ["bedroom_train_lmdb.zip", "github.com/fyu/lsun", "pip install lmdb"]),
    ],
)
def test_a_set_that_is_fetched_by_hand_names_its_files(
    kind: type[TorchvisionSet], parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DataError) as error:
        ready(kind, tmp_path, channels=3)
    for part in parts:
        assert part in str(error.value)


def test_lsun_without_lmdb_says_that_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DataError) as error:
        ready(LSUN, tmp_path, channels=3)
    assert "lmdb" in str(error.value).split("three ways on")[0]


@pytest.mark.parametrize("kind", [MNIST, CIFAR10])
def test_a_failed_download_is_told_apart_from_missing_files(
    kind: type[TorchvisionSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "_opener", None)  # else an earlier request's proxies stay
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens: every connection is refused at once
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError) as error:
        ready(kind, tmp_path, download=True)
    assert f"{kind.__name__}: torchvision could not fetch or read it" in str(error.value)
    assert "check the connection" in str(error.value)
    assert "refused" in str(error.value)


@pytest.mark.parametrize("kind", [MNIST, LSUN])
def test_channels_that_no_image_file_has_are_refused(kind: type[TorchvisionSet]) -> None:
    with pytest.raises(ValueError, match=r"1 \(grey\) or 3 \(colour\); got 2"):
        kind(resolution=32, channels=2)


# --- ImageNet, unpacked ----------------------------------------------------------------------------------------------


def write_imagenet(root: Path, train: int = 20, val: int = 10) -> list[Path]:
    """Write two classes with grey levels 10 * i in torchvision's layout; return the training files in order."""
    root.mkdir(parents=True)
    torch.save(({"n01": ("tench", "Tinca tinca"), "n02": ("goldfish",)}, ["n01"]), root / "meta.bin")
    for part, count in (("train", train), ("val", val)):
        for i in range(count):
            path = root / part / ("n01" if i < count // 2 else "n02") / f"{i:03d}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30, 20), (10 * i,) * 3).save(path, "JPEG", quality=100)
    return sorted((root / "train").rglob("*.JPEG"))


def levels(split: Split) -> list[int]:
    """Return grey levels in tens, which JPEG changes slightly."""
    return [round(float(image.mean()) / 10) for image in everything(split)[0]]


def test_imagenets_parts_and_classes_are_the_publishers(tmp_path: Path) -> None:
    write_imagenet(tmp_path / "in")
    data = ready(ImageNet, tmp_path / "in", resolution=16, channels=3)
    assert levels(data.train) == list(range(20))
    assert levels(data.held_out) == list(range(10))
    assert everything(data.train)[1] == [0] * 10 + [1] * 10
    assert everything(data.held_out)[1] == [0] * 5 + [1] * 5
    assert data.num_classes == 2


@pytest.mark.parametrize("broken", [0, 3, 4, 19])
def test_a_corrupt_file_of_a_public_set_is_refused_or_left_out(broken: int, tmp_path: Path) -> None:
    files = write_imagenet(tmp_path / "in")
    files[broken].write_bytes(files[broken].read_bytes()[:100])
    with pytest.raises(DataError, match=f"ImageNet, image {broken} of its part.*on_corrupt=skip"):
        ready(ImageNet, tmp_path / "in", resolution=16, channels=3)
    data = ready(ImageNet, tmp_path / "in", resolution=16, channels=3, on_corrupt="skip")
    assert levels(data.train) == [i for i in range(20) if i != broken]
    assert levels(data.held_out) == list(range(10))
    assert everything(data.train)[1] == [int(i >= 10) for i in range(20) if i != broken]


# --- LSUN ------------------------------------------------------------------------------------------------------------


def test_lsuns_categories_of_the_docstring_are_known_to_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = [line for line in str(LSUN.__doc__).splitlines() if "category: " in line]
    categories = re.findall(r"`(\w+)`", line)
    assert categories
    monkeypatch.setitem(sys.modules, "lmdb", None)
    for category in categories:
        with pytest.raises(DataError) as error:
            ready(LSUN, tmp_path, category=category, channels=3)
        assert "Unknown value" not in str(error.value)


def test_lsun_reads_an_lmdb_and_holds_out_a_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lmdb = pytest.importorskip("lmdb")
    monkeypatch.chdir(tmp_path)  # torchvision writes a list of keys into the working folder
    where = tmp_path / "lsun" / "church_outdoor_train_lmdb"
    where.mkdir(parents=True)
    with lmdb.open(str(where), map_size=2**22) as store, store.begin(write=True) as transaction:
        for i in range(20):
            buffer = io.BytesIO()
            Image.new("RGB", (30, 20), (10 * i,) * 3).save(buffer, "WEBP", quality=100)
            transaction.put(f"{i:03d}".encode(), buffer.getvalue())
    data = ready(LSUN, tmp_path / "lsun", category="church_outdoor", resolution=16, channels=3, held_out=0.25)
    assert (len(data.train), len(data.held_out)) == (15, 5)
    assert sorted(levels(data.train) + levels(data.held_out)) == list(range(20))
    assert everything(data.train)[1] is None
