"""Tests of folders of very many files: memory for each file is small, and the user is told what decoding takes."""

from __future__ import annotations

import os
import re
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.config.command_line import run_command
from zoo.data import Arrays, Folder, patterns
from zoo.data import entry as entry_module
from zoo.data.decode import Rendering, decode_once
from zoo.data.entry import shorten
from zoo.data.listing import FolderListing, list_images
from zoo.errors import DataError
from zoo.io import progress
from zoo.io.files import TupleDigest, digest_of_text, digest_of_values, joined
from zoo.io.parallel import in_order
from zoo.io.progress import LateLines, duration_text
from zoo.io.room import size_text

NAMES = ["b/1.png", "a-b.png", "a/2.png", "a/10.png", "a.png", "a/b/c.png", "é/ü.png", "A.png"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of grey images with names whose order depends on the rule."""
    for i, name in enumerate(NAMES):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * i).save(path)
    return tmp_path / "set"


def folder(root: Path, **settings: Any) -> Folder:
    return Folder(str(root), **{"resolution": 8, "channels": 1, "held_out": 0, "batch_size": 1, **settings})


# --- the same results as when everything was in memory at once -------------------------------------------------------


def test_files_are_in_the_order_of_their_paths(root: Path) -> None:
    """Of `pathlib`, which compares parts: the order of images, and so held-out parts and digests, depend on it."""
    assert list_images(root).names == [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.png"))]


def test_the_key_of_a_folder_is_that_of_earlier_versions(root: Path) -> None:
    """Otherwise every folder would be decoded anew: "folder", 2, and path, size and time in ns of each file."""
    state = [
        (str(path.relative_to(root)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*.png"))
    ]
    assert list_images(root).source() == digest_of_values("folder", 2, state)
    assert FolderListing(root).source() == digest_of_values("folder", 2, [])


def test_digests_of_pieces_are_those_of_the_whole() -> None:
    for values in ((), ("a",), ("a", "é\udc80", 3)):
        digest = TupleDigest()
        for value in values:
            digest.add(value)
        assert digest.hexdigest() == digest_of_values(*values)
        assert digest_of_text(["(1, [", *joined(map(repr, values)), "])"]) == digest_of_values(1, [*values])


def test_the_digest_of_the_contents_is_known_after_decoding_and_as_in_earlier_versions(root: Path) -> None:
    """An entry without it, as a version before it left one, gets the same from the files."""
    digest = folder(root).digest
    (entry,) = (root.parent / "cache" / "images").iterdir()
    before = (entry / "content.json").read_text()
    (entry / "content.json").unlink()
    assert folder(root).digest == digest
    assert (entry / "content.json").read_text() == before


def test_a_search_in_parts_finds_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = folder(root, match="^(a|b)/", group=r"^(\w)/.*png")
    whole.setup()
    monkeypatch.setattr(patterns, "PART", 3)
    parts = folder(root, match="^(a|b)/", group=r"^(\w)/.*png")
    parts.setup()
    assert parts.digest == whole.digest
    groups = parts.train.pool.groups
    assert groups is not None
    assert groups.tolist() == [0, 0, 0, 1]
    with pytest.raises(DataError, match=r"matches the path of none of 8 images below .*set, such as A.png"):
        folder(root, match="nowhere").files()


@pytest.mark.parametrize("shape", [(5, 3, 3, 1), (1000, 2, 2, 3), (9, 64, 64, 3)])
def test_a_map_is_shortened_in_place(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "a.npy", array)
    shorten(tmp_path / "a.npy", 3)
    assert np.array_equal(np.load(tmp_path / "a.npy"), array[:3])
    np.save(tmp_path / "b.npy", array[:3])
    assert (tmp_path / "a.npy").stat().st_size == (tmp_path / "b.npy").stat().st_size


# --- memory ----------------------------------------------------------------------------------------------------------


def test_few_results_wait_however_many_there_are() -> None:
    at_once, begun, lock = 0, 0, threading.Lock()

    def work(i: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return i * i

    for i, result in in_order(work, 1000, waiting=16):
        assert result == i * i
        at_once = max(at_once, begun - i)
    assert at_once <= 16


def test_a_listing_takes_little_memory_for_each_file(tmp_path: Path) -> None:
    """A name, a size and a time: below 400 bytes at most, 200 afterwards; `Path`s took more than a thousand."""
    count = 20_000
    for i in range(count // 100):
        (tmp_path / f"{i:05d}").mkdir()
    (tmp_path / "00000" / "0.png").write_bytes(b"")
    for i in range(1, count):
        os.link(tmp_path / "00000" / "0.png", tmp_path / f"{i // 100:05d}" / f"img{i:08d}.png")
    tracemalloc.start()
    listing = list_images(tmp_path)
    now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(listing.names) == count
    assert now / count < 200
    assert most / count < 400


# --- what is said ----------------------------------------------------------------------------------------------------


def test_what_decoding_takes_is_said_before_it_begins(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry_module, "LARGE", 8 * 64)
    data = folder(root)
    data.setup()
    images = root.parent / "cache" / "images"
    line = rf"decoding 8 images once: 0.5 kB in {images}, where [\d,.]+ [GT]B are free\n"
    assert re.fullmatch(line, capsys.readouterr().err)
    folder(root).setup()
    assert capsys.readouterr().err == ""


def checked(words: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as end:
        run_command("fit", "zoo.runs.fitting.main", words)
    assert end.value.code == code


def test_a_check_says_what_decoding_will_take(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recipe=dcgan_digits", "check=true", "data.class=Folder", f"data.root={root}"]
    checked(words, 0)
    images = root.parent / "cache" / "images"
    assert re.search(
        rf"images: 8 files, to be decoded once to 16 px: 2.0 kB in {images}, where [\d,.]+ [GT]B are free, and less "
        r"than a minute at the speed of 8 of them now\n",
        capsys.readouterr().err,
    )
    Folder(str(root), resolution=16, channels=1).prepare_data()
    checked(words, 0)
    assert f"images: 8 files, decoded to 16 px already in {images}\n" in capsys.readouterr().err


def test_a_check_finds_values_of_unknown_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((4, 16, 16), np.float32))
    words = ["recipe=dcgan_digits", "check=true", "data.class=Arrays", f"data.root={tmp_path / 'a.npz'}"]
    checked(words, 2)
    assert "data.value_range=[0,1], for example" in capsys.readouterr().err
    plan = Arrays(str(tmp_path / "a.npz"), resolution=16, channels=1, value_range=(0, 1)).plan()
    assert plan.startswith("4 files, to be decoded once to 16 px: 1.0 kB in ")


def test_of_many_images_that_cannot_be_decoded_the_first_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    def open_image(i: int) -> Image.Image:
        if i % 2:
            raise OSError("planted")
        return Image.new("L", (8, 8))

    decode_once(open_image, 100, None, source="a test", name_of=str, rendering=Rendering(8, 1), on_corrupt="skip")
    said = capsys.readouterr().err.splitlines()
    assert said[:20] == [f"left out: {i}: planted" for i in range(1, 40, 2)]
    assert said[20:] == [
        "further images that cannot be decoded are counted but not named, from 41: planted on",
        "50 of 100 images could not be decoded and are left out",
    ]


def test_a_long_step_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 60 s a tenth is done, so nine minutes are left."""
    lines: list[str] = []
    late = LateLines(lines.append)
    clock = iter([0.0, 60.0, 60.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(late, "_start", lambda seconds: None)
    late.tell("decoding", 0, 1000)
    late.tell("decoding", 100, 1000)
    late._show("decoding")
    late.tell("decoding", 990, 1000)
    late._show("decoding")
    assert lines == [
        "decoding: 100 of 1,000, 60 s so far, about 9 minutes left",
        "decoding: 990 of 1,000, 60 s so far",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3, "less than a minute"), (61, "about 1 minute"), (720, "about 12 minutes"), (9000, "about 2 hours")],
)
def test_durations_are_rough(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(500, "0.5 kB"), (12_288_000_000, "12.3 GB"), (1_500_000, "1.5 MB"), (2 * 10**12, "2.0 TB")]
)
def test_sizes_are_in_decimal_units(size: int, text: str) -> None:
    assert size_text(size) == text
