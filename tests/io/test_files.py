"""Tests of atomic writing and of the other helpers for files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.errors import UserError
from zoo.io.files import atomic_write, cache_folder, digest_of_values, read_jsonl, sha256_of, with_home


def test_the_new_file_is_there_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    with atomic_write(path) as scratch:
        scratch.write_text("half")
        assert not path.exists()
        assert scratch.suffix == ".json"
        scratch.write_text("all")
    assert path.read_text() == "all"
    assert list(path.parent.iterdir()) == [path]


def test_a_fault_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")

    def broken() -> None:
        with atomic_write(path) as scratch:
            scratch.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk"):
        broken()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_flushed_to_the_disk_before_it_takes_its_name_if_asked(
    sync: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "a.json", []

    def fsync(descriptor: int) -> None:
        assert not path.exists()
        flushed.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_write(path, sync=sync) as scratch:
        scratch.write_text("all")
    assert path.read_text() == "all"
    assert flushed == ([3] if sync else [])


def test_a_disk_that_fails_to_flush_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("before")

    def fsync(descriptor: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="gone"), atomic_write(path, sync=True) as scratch:
        scratch.write_text("after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_rows_end_where_a_kill_cut_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_jsonl(path) == []
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": ')
    assert read_jsonl(path) == [{"a": 1}, {"a": 2}]


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # the example of the standard that defines SHA-256
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    keys = [digest_of_values(*values) for values in ((1, "2"), ("1", 2), (1, 2), (12,), ((1, 2),))]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)


def test_a_user_without_a_home_is_told_to_set_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No HOME and a user's number without a name, as in containers: row R8."""
    for name in ("HOME", "ZOO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unnamed(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unnamed)
    with pytest.raises(UserError, match=r"this user has no home folder. Set the environment variable ZOO_CACHE to a"):
        cache_folder()
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"


@pytest.mark.parametrize("variable", ["ZOO_CACHE", "HOME"])
def test_a_cache_that_cannot_be_created_is_named(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`HOME=/nonexistent`, or a `ZOO_CACHE` that cannot be created: row R8."""
    (tmp_path / "file").touch()
    for name in ("ZOO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    folder = tmp_path / "file" / "below" / ("" if variable == "ZOO_CACHE" else ".cache/zoo")
    with pytest.raises(UserError) as caught:
        cache_folder()
    assert str(caught.value) == (
        f"the cache folder {folder} cannot be created: Not a directory. Set the environment variable ZOO_CACHE to a "
        "folder that you may write, such as ZOO_CACHE=/tmp/zoo"
    )


def test_a_home_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path such as `~nobody-here/photos`: row R8."""
    with pytest.raises(UserError, match=r"^~nobody-here/photos: there is no home folder for ~nobody-here. Give the"):
        with_home("~nobody-here/photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert with_home("~/photos") == tmp_path / "photos"
