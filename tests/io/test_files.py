"""Tests of atomic writing and of the other helpers for files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.io.files import atomic_write, digest_of_values, read_jsonl, sha256_of


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
