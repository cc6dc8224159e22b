"""For every test: a cache of its own and one thread."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny networks are fastest on one thread, and sums come out the same in every run."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images of one test are not found by another, and none land in the user's cache."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
