"""For every test: a seed, a cache of its own and one thread; scikit-learn's digits are decoded once."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoo.data import digits
from zoo.features import Extractor


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks are fastest on one thread, and sums come out the same in every run; so in processes of tests."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def digits_decoded_once() -> Iterator[None]:
    """Most tests use these images, and decoding them takes a third of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "load_digits", functools.cache(digits.load_digits))
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images of one test are not found by another, and none land in the user's cache."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Random weights of a test are the same in every run, whichever tests went before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each pass of any extractor has seen so far."""
    seen: list[int] = []
    inner = Extractor.features_and_logits

    def counting(self: Extractor, images: torch.Tensor) -> Any:
        seen.append(len(images))
        return inner(self, images)

    monkeypatch.setattr(Extractor, "features_and_logits", counting)
    return seen
