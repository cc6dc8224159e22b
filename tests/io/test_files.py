"""Truths of files that are written whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.io.files import atomic_write


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
