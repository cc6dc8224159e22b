"""Tests of images in zip archives, and of the classes in the `dataset.json` of StyleGAN's dataset tool."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.helpers.training import SMALL_RUN
from zoo.data import Folder, Zip
from zoo.data.given_folder import open_listed
from zoo.errors import DataError
from zoo.runs.training_data import data_of_checkpoint

GREYS = (0, 40, 80, 120, 160, 200)


def png(grey: int, side: int = 8) -> bytes:
    """Return a PNG of one grey level, uncompressed as StyleGAN's tool writes it."""
    content = io.BytesIO()
    Image.new("L", (side, side), grey).save(content, format="PNG", compress_level=0)
    return content.getvalue()


def stylegan_names(count: int) -> list[str]:
    """Return the paths that StyleGAN's tool gives to images: `00000/img00000000.png`, a thousand to a folder."""
    return [f"{i:08d}"[:5] + f"/img{i:08d}.png" for i in range(count)]


def packed(path: Path, files: dict[str, bytes | str], compression: int = zipfile.ZIP_STORED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpacked(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def stylegan(labels: list[int] | None) -> dict[str, bytes | str]:
    """Return the files of a set in StyleGAN's layout; the entries of `dataset.json` are in another order."""
    names = stylegan_names(len(GREYS))
    pairs = None if labels is None else [[name, label] for name, label in reversed([*zip(names, labels)])]
    return {**dict(zip(names, map(png, GREYS))), "dataset.json": json.dumps({"labels": pairs})}


def ready(data: Any) -> Any:
    data.setup()
    return data


def archive(path: Path, **settings: Any) -> Zip:
    data: Zip = ready(Zip(str(path), **{"resolution": 8, "channels": 1, "held_out": 0, "batch_size": 1, **settings}))
    return data


def folder(path: Path, **settings: Any) -> Folder:
    plain = {"resolution": 8, "channels": 1, "held_out": 0, "batch_size": 1, **settings}
    data: Folder = ready(Folder(str(path), **plain))
    return data


def labels_of(data: Any) -> dict[int, int]:
    """Return the class of each image by its grey level."""
    pool = data.train.pool
    return dict(zip(pool.images[:, 0, 0, 0].tolist(), pool.labels.tolist()))


# --- StyleGAN's layout -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("asked", [{}, {"labels": True}])
def test_images_and_classes_of_stylegan(asked: dict[str, Any], compression: int, tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", stylegan([2, 0, 1, 1, 0, 2]), compression)
    data = archive(path, **asked)
    assert labels_of(data) == {0: 2, 40: 0, 80: 1, 120: 1, 160: 0, 200: 2}
    assert data.num_classes == 3
    assert data.class_names == ()
    assert data.describe() == ("Zip: 6 images (8 px, grey), 6 to train on, 0 held out; 3 classes: 0 (2), 1 (2), 2 (2)")


@pytest.mark.parametrize(("labels", "settings"), [(None, {}), ([0, 1, 2, 0, 1, 2], {"labels": False})])
def test_without_classes_there_are_none(labels: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    data = archive(packed(tmp_path / "set.zip", stylegan(labels)), **settings)
    assert data.num_classes == 0
    assert data.train.pool.images[:, 0, 0, 0].tolist() == list(GREYS)


def test_an_unpacked_set_of_stylegan_is_the_same_data(tmp_path: Path) -> None:
    """Its subfolders 00000, 00001 are no classes, although `labels=true` takes subfolders for classes elsewhere."""
    files = stylegan([2, 0, 1, 1, 0, 2])
    packed_data = archive(packed(tmp_path / "set.zip", files))
    unpacked_data = folder(unpacked(tmp_path / "set", files), labels=True)
    assert labels_of(unpacked_data) == labels_of(packed_data)
    assert unpacked_data.digest == packed_data.digest
    assert "left out" not in unpacked_data.describe()
    assert unpacked_data.found_settings() == {}


def test_a_folder_without_labels_reads_no_classes(tmp_path: Path) -> None:
    assert folder(unpacked(tmp_path / "set", stylegan([0] * 6))).num_classes == 0


def test_the_old_order_of_classes_stays_for_a_run_that_recorded_it(tmp_path: Path) -> None:
    """Earlier versions took the subfolders of such a folder for classes and recorded their names."""
    data = folder(unpacked(tmp_path / "set", stylegan([2, 0, 1, 1, 0, 2])), labels=True, classes=("00000",))
    assert data.class_names == ("00000",)
    assert set(labels_of(data).values()) == {0}


FAULTS = {
    "no classes": (
        {"labels": None},
        {"labels": True},
        r"data.labels=true, but .*set.zip/dataset.json says that the images have no classes. Set data.labels=false",
    ),
    "an image without a class": (
        {"labels": [["00000/img00000000.png", 1]]},
        {},
        r"dataset.json names no class for 5 of 6 images, such as 00000/img00000001.png. Add them, leave them out",
    ),
    "a vector": (
        {"labels": [[name, [0.5, 1.0]] for name in stylegan_names(6)]},
        {},
        r"the label of 00000/img00000000.png is a vector of 2 numbers; a class is one whole number",
    ),
    "a text": (
        {"labels": [[name, "cat"] for name in stylegan_names(6)]},
        {},
        r"the class of 00000/img00000000.png is 'cat'; a class is a whole number",
    ),
    "half a class": (
        {"labels": [[name, 0.5] for name in stylegan_names(6)]},
        {},
        r"the class of 00000/img00000000.png is '0.5'; a class is a whole number",
    ),
    "no number": (
        '{"labels": {' + ", ".join(f'"{name}": NaN' for name in stylegan_names(6)) + "}}",
        {},
        r"the class of 00000/img00000000.png is 'nan'; a class is a whole number",
    ),
    "a number of a customer": (
        {"labels": [[name, 40_000_000_000 + i] for i, name in enumerate(stylegan_names(6))]},
        {},
        r"Zip has labels up to 40,000,000,005; class indices are whole numbers below 1,000,000",
    ),
    "no pairs": ({"labels": [1, 2, 3]}, {}, r'"labels" is a list of pairs of a path and a class index, .*got \[1, 2'),
    "a number": ({"labels": 7}, {}, r'"labels" is a list of pairs of a path and a class index, .*got 7'),
    "a negative class": (
        {"labels": [[name, -1] for name in stylegan_names(6)]},
        {},
        r"Zip has labels from -1 on; class indices are whole numbers from 0 on",
    ),
    "no JSON": ("{", {}, r"dataset.json cannot be read: .*Restore it, or set data.labels=false"),
}


@pytest.mark.parametrize(("content", "settings", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_of_dataset_json_are_named(content: Any, settings: Any, message: str, tmp_path: Path) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    path = packed(tmp_path / "set.zip", {**stylegan(None), "dataset.json": text})
    with pytest.raises(DataError, match=message):
        archive(path, **settings)
    assert archive(path, labels=False).num_classes == 0


def test_a_dataset_json_of_another_program_is_left_out(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", {"a/1.png": png(1), "b/2.png": png(2), "dataset.json": '{"name": "mine"}'})
    data = archive(path, labels=True)
    assert data.class_names == ("a", "b")
    assert "left out: 1 .json" in data.describe()


def test_classes_of_images_that_are_not_there_are_counted(tmp_path: Path) -> None:
    files = stylegan([0, 1, 2, 0, 1, 2])
    del files["00000/img00000005.png"]
    assert (
        "left out: 1 classes in dataset.json without an image" in archive(packed(tmp_path / "s.zip", files)).describe()
    )


# --- any archive -----------------------------------------------------------------------------------------------------


def test_an_archive_reads_as_the_folder_it_was_made_of(tmp_path: Path) -> None:
    """Order, held-out images, groups and digest are those of the folder, also for names that sort by their parts."""
    names = ["a/2.png", "a-b/1.png", "a.png", "b/c/3.PNG", "a/10.png", "é.png"]
    files: dict[str, bytes | str] = {name: png(30 * i) for i, name in enumerate(names)}
    files |= {"notes.txt": "no image", ".hidden.png": png(9), ".folder/1.png": png(9)}
    settings = {"held_out": 2, "group": r"^([ab])"}
    one = archive(packed(tmp_path / "set.zip", files, zipfile.ZIP_DEFLATED), **settings)
    two = folder(unpacked(tmp_path / "set", files), **settings)
    assert np.array_equal(one.train.pool.images, two.train.pool.images)
    assert one.held_out.indices.tolist() == two.held_out.indices.tolist()
    assert one.digest == two.digest
    assert one.train.pool.left_out == {"hidden": 2, ".txt": 1}


def test_subfolders_are_classes_where_asked_for(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", {"dog/1.png": png(10), "cat/1.png": png(20), "dog/2.png": png(30), "owl/": b""})
    data = archive(path, labels=True)
    assert data.class_names == ("cat", "dog")
    assert labels_of(data) == {20: 0, 10: 1, 30: 1}
    assert "1 folder without images, no class (owl)" in data.describe()
    assert data.found_settings() == {"classes": ("cat", "dog")}
    assert labels_of(archive(path, labels=True, classes=("dog", "cat"))) == {20: 1, 10: 0, 30: 0}
    assert archive(path).num_classes == 0


def test_a_folder_that_was_packed_as_a_whole_is_looked_into(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"photos/dog/1.png": png(10), "photos/cat/1.png": png(20)}
    files |= {"__MACOSX/photos/dog/._1.png": b"", "photos/.DS_Store": b""}
    data = archive(packed(tmp_path / "set.zip", files), labels=True)
    assert data.class_names == ("cat", "dog")
    stored = {f"set/{name}": content for name, content in stylegan([0, 1, 2, 0, 1, 2]).items()}
    assert labels_of(archive(packed(tmp_path / "stylegan.zip", stored)))[80] == 2


def test_a_single_class_is_no_folder_to_look_into(tmp_path: Path) -> None:
    assert archive(packed(tmp_path / "s.zip", {"cat/1.png": png(1), "cat/2.png": png(2)}), labels=True).num_classes == 1


def test_an_archive_of_windows_is_read(tmp_path: Path) -> None:
    """Some programs store backslashes."""
    path = packed(tmp_path / "set.zip", {"dog/1.png": png(10), "cat/1.png": png(20)})
    path.write_bytes(path.read_bytes().replace(b"dog/1.png", b"dog\\1.png"))
    assert archive(path, labels=True).class_names == ("cat", "dog")


def test_a_file_that_is_stored_twice_is_read_once(tmp_path: Path) -> None:
    """An image that is read twice could be in the training part and held out."""
    path = packed(tmp_path / "set.zip", {"a.png": png(10)})
    with zipfile.ZipFile(path, "a") as more, pytest.warns(UserWarning, match="Duplicate"):
        more.writestr("a.png", png(20))
    assert archive(path).train.pool.images[:, 0, 0, 0].tolist() == [20]


def test_a_moved_or_copied_archive_needs_no_new_decoding(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", stylegan([0] * 6))
    archive(path)
    copy = tmp_path / "elsewhere.zip"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(0, 12345))
    archive(copy)
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 1


def damage(path: Path, name: str) -> None:
    """Change a pixel of a stored image in an archive, so that its checksum is wrong."""
    with zipfile.ZipFile(path) as file:
        start = file.getinfo(name).header_offset
    content = bytearray(path.read_bytes())
    content[start + 30 + len(name) + 60] ^= 1
    path.write_bytes(bytes(content))


def test_a_damaged_image_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", stylegan([0, 1, 2, 0, 1, 2]))
    damage(path, "00000/img00000002.png")
    with pytest.raises(DataError, match=r"set.zip/00000/img00000002.png: Bad CRC-32 .*data.on_corrupt=skip"):
        archive(path)
    data = archive(path, on_corrupt="skip")
    assert labels_of(data) == {0: 0, 40: 1, 120: 0, 160: 1, 200: 2}
    assert data.train.pool.left_out == {"that cannot be decoded": 1}


def test_an_encrypted_or_huge_file_is_no_image(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", {"a.png": png(1), "b.png": png(2)})
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[central + 8] |= 1  # the flag of encryption
    second = content.index(b"PK\x01\x02", central + 4)
    content[second + 24 : second + 28] = (2**30 + 1).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"a.png: .*encrypted, password required"):
        archive(path)
    with pytest.raises(DataError, match=r"none of the 2 images could be decoded"):
        archive(path, on_corrupt="skip")
    with pytest.raises(DataError, match=r"b.png: it has 1,073,741,825 bytes; images of up to 1,073,741,824 are read"):
        archive(path, match="b")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    folder(unpacked(tmp_path / "set", {"a.png": png(1)}))
    with pytest.raises(DataError, match=r"there is no file .*nowhere.zip \(data.root\). Give the path of a .zip file"):
        archive(tmp_path / "nowhere.zip")
    with pytest.raises(DataError, match=r"there is no file .*set \(data.root\); data.class=Folder reads a folder"):
        archive(tmp_path / "set")
    with pytest.raises(DataError, match=r"a.png \(data.root\) cannot be read as a zip archive: .* Copy or download it"):
        archive(tmp_path / "set" / "a.png")
    path = packed(tmp_path / "cut.zip", stylegan(None))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cut.zip \(data.root\) cannot be read as a zip archive"):
        archive(path)
    with pytest.raises(DataError, match=r"there is no folder .*it is a file.*data.class=Zip reads a .zip file"):
        folder(path)
    with pytest.raises(
        DataError, match=r"no images below .*empty.zip \(data.root\); looked for .*, but there are 1 .txt"
    ):
        archive(packed(tmp_path / "empty.zip", {"a.txt": "no image"}))


def test_parts_of_a_set_are_no_classes(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", {"train/1.png": png(1), "test/1.png": png(2)})
    remedy = "Unpack set.zip and set data.class=Folder data.root=FOLDER/test, or, if they are classes, data.classes=["
    with pytest.raises(DataError, match=re.escape(remedy)):
        archive(path, labels=True)


# --- in training -----------------------------------------------------------------------------------------------------


def test_a_conditional_run_trains_and_resumes_on_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    names = stylegan_names(48)
    files: dict[str, bytes | str] = {}
    for name in names:
        content = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (16, 16), dtype=np.uint8)).save(content, format="PNG")
        files[name] = content.getvalue()
    files["dataset.json"] = json.dumps({"labels": [[name, i % 3] for i, name in enumerate(names)]})
    packed(tmp_path / "project" / "set.zip", files)
    monkeypatch.chdir(tmp_path / "project")
    settings = {
        **SMALL_RUN,
        "images": 64,
        "model": {**SMALL_RUN["model"], "num_classes": 3},
        "data": {"class": "Zip", "root": "set.zip", "batch_size": 8},
    }
    run = zoo.fit("biggan_digits", out=tmp_path / "run", **settings)
    digest = Zip("set.zip", resolution=16, channels=1, batch_size=8).digest
    monkeypatch.chdir(tmp_path)
    data = data_of_checkpoint(run.folder / "checkpoints" / f"{64:012d}.ckpt", {})
    assert (data.num_classes, len(data.train), len(data.held_out)) == (3, 44, 4)
    assert data.digest == digest
    assert zoo.fit(resume=run.folder, images=128).model.images_seen == 128


def test_classes_are_found_where_a_program_of_windows_packed_the_folder(tmp_path: Path) -> None:
    """The images were read, and the classes lost without a word: `photos\\dataset.json` was looked for with a slash."""
    table = json.dumps({"labels": [["x/a.png", 1], ["y/b.png", 0]]})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in {"x/a.png": png(10), "y/b.png": png(20), "dataset.json": table}.items():
            info = zipfile.ZipInfo()
            info.filename = "photos\\" + name.replace("/", "\\")
            archive.writestr(info, content)
    data = Zip(str(tmp_path / "a.zip"), resolution=8, channels=1, batch_size=1, held_out=0)
    pool = data.read()
    assert pool.labels is not None
    assert pool.labels.tolist() == [1, 0]
    assert pool.left_out == {}


def test_an_archive_that_was_written_again_is_not_read_from_memory(tmp_path: Path) -> None:
    """Two audits in one session: images of the first one's archive were shown, or there was a KeyError."""
    path = tmp_path / "a.zip"
    for name, grey in (("a.png", 10), ("a.png", 200), ("b.png", 30)):
        packed(tmp_path / "new.zip", {name: png(grey)})
        os.replace(tmp_path / "new.zip", path)
        assert open_listed(path / name).getpixel((0, 0)) == grey
