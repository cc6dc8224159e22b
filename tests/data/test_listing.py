"""Tests of which files of a folder are read, and of what is said about the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.data import Folder
from zoo.data.listing import described, list_images
from zoo.data.raster import FORMAT_OF_SUFFIX, FORMATS
from zoo.errors import DataError


def picture(path: Path, level: int = 9) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((8, 8), level, dtype=np.uint8)
    values[0] = 255
    Image.fromarray(values).save(path)
    return path


def folder(root: Path, **settings: Any) -> Folder:
    data = Folder(str(root), **{"resolution": 8, "channels": 1, "held_out": 0, "batch_size": 1, **settings})
    data.setup()
    return data


# --- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", sorted(FORMAT_OF_SUFFIX))
def test_every_ending_of_the_list_is_read(ending: str, tmp_path: Path) -> None:
    """Files that end in .jfif or .avif were left out: row I2."""
    if ending == ".pfm":
        Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(tmp_path / "a.pfm")
    elif ending == ".pbm":
        (tmp_path / "a.pbm").write_bytes(b"P4 8 8\n" + bytes(8))
    else:
        kind = FORMAT_OF_SUFFIX[ending]
        Image.new("RGB", (8, 8), (90, 90, 90)).save(tmp_path / f"a{ending}", format="JPEG" if kind == "MPO" else kind)
    data = folder(tmp_path, value_range=(0, 1) if ending == ".pfm" else ())
    assert len(data.train) == 1
    assert not data.train.pool.left_out


def test_a_format_that_starts_another_program_is_refused_whatever_its_name(tmp_path: Path) -> None:
    """An EPS named x.png reached Ghostscript: row I4."""
    picture(tmp_path / "good.png")
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n%%EOF\n")
    with pytest.raises(DataError) as error:
        folder(tmp_path)
    assert str(tmp_path / "x.png") in str(error.value)
    assert f"no image of a format that is read ({', '.join(FORMATS)}" in str(error.value)
    assert not {"EPS", "WMF", "PDF", "MPEG"} & {*FORMATS, *FORMAT_OF_SUFFIX.values()}


def test_the_name_of_a_file_does_not_decide_its_format(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert len(folder(tmp_path).train) == 1


# --- what is no file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ["pipe", "device"])
def test_a_pipe_or_device_is_refused_and_not_waited_for(make: str, tmp_path: Path) -> None:
    """Reading a named pipe called x.png hung: row I4."""
    picture(tmp_path / "good.png")
    if make == "pipe":
        os.mkfifo(tmp_path / "x.png")
    else:
        (tmp_path / "x.png").symlink_to("/dev/zero")
    with pytest.raises(DataError) as error:
        folder(tmp_path)
    assert f"{tmp_path / 'x.png'} is a {'named pipe' if make == 'pipe' else 'device'}, not a file" in str(error.value)
    assert "data.on_corrupt=skip" in str(error.value)
    data = folder(tmp_path, on_corrupt="skip")
    assert len(data.train) == 1
    assert "left out: 1 pipes, devices or unreadable folders" in data.describe()


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its images would be missing in silence, as a class that was left out."""
    picture(tmp_path / "a/1.png")
    picture(tmp_path / "b/1.png")
    scandir = os.scandir

    def forbidden(path: Any) -> Any:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(DataError, match=rf"the folder {tmp_path / 'b'} cannot be read: Permission denied"):
        folder(tmp_path)
    assert len(folder(tmp_path, on_corrupt="skip").train) == 1


# --- links -----------------------------------------------------------------------------------------------------------


def test_a_class_folder_that_is_a_link_is_read(tmp_path: Path) -> None:
    """It was left out: row I2."""
    picture(tmp_path / "elsewhere/dog/1.png")
    picture(tmp_path / "set/cat/1.png")
    (tmp_path / "set/dog").symlink_to(tmp_path / "elsewhere/dog")
    data = folder(tmp_path / "set", labels=True)
    assert data.class_names == ("cat", "dog")
    assert len(data.train) == 2


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    picture(tmp_path / "a/b/1.png")
    (tmp_path / "a/b/back").symlink_to(tmp_path / "a")
    (tmp_path / "a/self").symlink_to(tmp_path)
    listing = list_images(tmp_path)
    assert listing.names == ["a/b/1.png"]
    assert described(listing.left_out) == "2 links to folders that are read already"


def test_no_folder_is_read_twice(tmp_path: Path) -> None:
    """An image that is read twice could be in the training part and held out."""
    picture(tmp_path / "elsewhere/part/1.png")
    picture(tmp_path / "set/cats/1.png")
    (tmp_path / "set/again").symlink_to(tmp_path / "set/cats")  # sorted before the folder it leads to
    (tmp_path / "set/b_part").symlink_to(tmp_path / "elsewhere/part")
    (tmp_path / "set/c_whole").symlink_to(tmp_path / "elsewhere")  # holds what b_part leads to
    listing = list_images(tmp_path / "set")
    assert listing.names == ["b_part/1.png", "cats/1.png"]


# --- what is said ----------------------------------------------------------------------------------------------------


def test_what_was_left_out_is_counted_with_the_reason(tmp_path: Path) -> None:
    """Their number was never shown: row I2."""
    for i in range(8):
        picture(tmp_path / f"some/{i}.png")
    for i in range(3):
        (tmp_path / f"{i}.heic").write_bytes(b"")
    picture(tmp_path / "other/1.png")
    picture(tmp_path / "some/.hidden.png")
    (tmp_path / "LICENSE").write_text("")
    (tmp_path / "some/bad.png").write_bytes(b"no image")
    data = folder(tmp_path, match="^some/", on_corrupt="skip", held_out=2, resolution=4)
    assert data.describe() == (
        "Folder: 8 images (4 px, grey from 8 px), 6 to train on, 2 held out; left out: 1 that cannot be decoded, "
        "1 hidden, 3 .heic, 1 without an ending, 1 not matched by data.match"
    )
    assert data.state_dict()["left_out"] == {
        "that cannot be decoded": 1,
        "hidden": 1,
        ".heic": 3,
        "without an ending": 1,
        "not matched by data.match": 1,
    }


def test_a_folder_of_files_that_are_not_read_says_what_is_there(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"no images below .* but there are 4 \.heic"):
        folder(tmp_path)


def test_many_reasons_are_summed_up() -> None:
    assert described({f".{i}": 10 - i for i in range(9)}, most=2) == "10 .0, 9 .1, 35 others"


def test_a_checkpoint_of_an_earlier_version_says_how_to_read_the_same_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    before = folder(tmp_path).state_dict()
    before = {key: before[key] for key in ("digest", "train", "held_out")}
    picture(tmp_path / "c.png").rename(tmp_path / "c.jfif")
    with pytest.raises(DataError) as error:
        folder(tmp_path).load_state_dict(before)
    pattern = str(error.value).partition("data.match='")[2].partition("'")[0]
    folder(tmp_path, match=pattern).load_state_dict(before)


def test_an_empty_folder_leaves_nothing_out(tmp_path: Path) -> None:
    """The message ended in `but there are`, with nothing behind it."""
    (tmp_path / "sub").mkdir()
    with pytest.raises(DataError, match=r"no images below .* at any depth$"):
        list_images(tmp_path)
