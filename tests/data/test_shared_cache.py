"""Tests of a cache of decoded images that several processes share, and of one that lies elsewhere."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.helpers.training import SMALL_RUN
from zoo.data import Folder, Pool
from zoo.data.decode import Rendering, decode_once
from zoo.errors import DataError, UserError
from zoo.io import entries
from zoo.io.files import cache_folder

FORK = multiprocessing.get_context("fork")
LEVELS = [0, 10, 20, 30, 40]


def grey(i: int) -> Image.Image:
    return Image.new("L", (8, 8), 10 * i)


def once(open_image: Any = grey, cache: str = "") -> Pool:
    return decode_once(
        open_image, len(LEVELS), None, source="a test", name_of=str, rendering=Rendering(8, 1), cache=cache
    )


def levels(pool: Pool) -> list[int]:
    found: list[int] = pool.images[:, 0, 0, 0].tolist()
    return found


def made(cache: Path | None = None) -> list[str]:
    """Return the names in the folder of decoded images."""
    return sorted(path.name for path in ((cache or cache_folder()) / "images").iterdir())


def noted(log: Path, wait: float) -> Any:
    """Return a function that opens an image after a while and notes that it did."""

    def open_image(i: int) -> Image.Image:
        with open(log, "a") as file:
            file.write(f"{i}\n")
        time.sleep(wait)
        return grey(i)

    return open_image


def decode_with_another(together: Any, log: Path, results: Any) -> None:
    together.wait(20)
    results.put(levels(once(noted(log, 0.2))))


def test_of_two_processes_at_once_one_decodes_and_the_other_waits(tmp_path: Path) -> None:
    log, together, results = tmp_path / "log", FORK.Barrier(2), FORK.Queue()
    both = [FORK.Process(target=decode_with_another, args=(together, log, results)) for _ in range(2)]
    for process in both:
        process.start()
    assert [results.get(timeout=30) for _ in both] == [LEVELS, LEVELS]
    for process in both:
        process.join(30)
    assert sorted(log.read_text().split()) == ["0", "1", "2", "3", "4"]  # each image was opened once, by one of them
    assert len(made()) == 1


def decode_for_ever(log: Path) -> None:
    once(noted(log, 60))


def test_a_process_that_waits_goes_on_when_the_other_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    other = FORK.Process(target=decode_for_ever, args=(log,))
    other.start()
    while not log.exists():
        time.sleep(0.01)
    assert [name.split("-")[0] for name in made()] == ["decoding"]
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(once)
        time.sleep(0.3)
        assert not waiting.done()
        assert other.pid is not None
        os.kill(other.pid, signal.SIGKILL)
        other.join(30)
        assert levels(waiting.result(timeout=30)) == LEVELS
    assert len(made()) == 1  # what the killed process had begun is gone


def test_where_there_are_no_locks_both_decode_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(*_: Any, **__: Any) -> Any:
        raise NotImplementedError("no flock")

    monkeypatch.setattr(entries, "FileLock", no_lock)
    together = threading.Barrier(2, timeout=20)

    def slow(i: int) -> Image.Image:
        if i == 0:
            together.wait()  # both have begun before either can finish
        return grey(i)

    with ThreadPoolExecutor(2) as threads:
        pools = [future.result() for future in [threads.submit(once, slow) for _ in range(2)]]
    assert [levels(pool) for pool in pools] == [LEVELS] * 2
    assert len(made()) == 1
    assert pools[0].digest == pools[1].digest


def test_another_user_may_read_what_one_has_decoded() -> None:
    once()
    before = os.umask(0o022)
    os.umask(before)
    (entry,) = made()
    assert stat.S_IMODE((cache_folder() / "images" / entry).stat().st_mode) == 0o777 & ~before


def test_a_cache_that_is_whole_needs_no_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once()

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("a lock was taken")

    monkeypatch.setattr(entries, "FileLock", refused)
    assert levels(once()) == LEVELS


# --- elsewhere -------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 24 images of noise."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "project" / "photos"
    folder.mkdir(parents=True)
    for i in range(24):
        Image.fromarray(generator.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


def test_a_source_keeps_its_images_where_it_is_told(photos: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"resolution": 8, "channels": 1, "batch_size": 1}
    here = Folder(str(photos), **settings)
    there = Folder(str(photos), cache=str(tmp_path / "disk" / "decoded"), **settings)
    assert there.digest == here.digest
    assert made(tmp_path / "disk" / "decoded") == made()


def test_a_cache_that_cannot_be_made_is_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    data = Folder(str(photos), resolution=8, channels=1, cache=str(tmp_path / "file" / "below"))
    message = (
        f"data.cache={tmp_path / 'file' / 'below'}: the cache folder cannot be created: Not a directory. Give a folder "
        "that you may write, or leave data.cache out"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        data.setup()


def test_a_cache_that_cannot_be_written_is_refused_in_one_line(photos: Path, tmp_path: Path) -> None:
    """As one that is read-only and does not hold the images: rows R7 and R8."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "images").write_text("in the way")
    with pytest.raises(
        DataError,
        match=rf"the cache of decoded images cannot be written to {cache}/images: .* It needs 1,536 bytes, [\d,]+ are "
        r"free. Make room, or set ZOO_CACHE to a folder on another disk \(for one source of images: data.cache=F",
    ):
        Folder(str(photos), resolution=8, channels=1, cache=str(cache)).setup()


def test_a_relative_cache_is_seen_from_where_the_run_began(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a relative `data.root` is: row R10. A cache that is gone is made anew, and no message is due."""
    data = {"class": "Folder", "root": "photos", "batch_size": 8, "cache": "decoded"}
    monkeypatch.chdir(photos.parent)
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", **{**SMALL_RUN, "images": 64, "data": data})
    assert len(made(photos.parent / "decoded")) == 1
    monkeypatch.chdir(tmp_path)
    assert zoo.fit(resume=run.folder, images=128).model.images_seen == 128
    assert not (tmp_path / "decoded").exists()
