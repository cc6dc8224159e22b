"""Fixtures of audits of folders, which several files of tests use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.photographs import photographs, saved


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photos(elsewhere: None) -> tuple[str, str]:
    """Folders of 60 training and 60 held-out photographs of 64 px."""
    return saved(photographs(60, 0), "train"), saved(photographs(60, 1), "new")
