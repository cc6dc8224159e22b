"""For every test: a seed, a cache of its own and one thread; digits are decoded once, metrics of runs not plotted.

With `-n 2 --dist loadgroup` each test goes to a worker by itself, so both workers would make a fixture of a module. The
tests that share one are therefore a group, which goes to one worker.
"""

from __future__ import annotations

import functools
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from zoo.data import digits
from zoo.features import Extractor

sys.path.append(str(Path(__file__).parents[1]))  # behind an installed zoo: some tests import `examples`


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make a group of the tests that share a fixture of their module, unless they are in one."""
    for item in items:
        found = getattr(item, "_fixtureinfo", None)
        fixtures = [each for some in getattr(found, "name2fixturedefs", {}).values() for each in some]
        module = item.nodeid.partition("::")[0]
        shares = any((each.scope, each.baseid) == ("module", module) for each in fixtures)
        if shares and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(module))


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


@pytest.fixture(scope="session", autouse=True)
def without_plots_of_metrics() -> Iterator[None]:
    """A plot takes most of the time of a run as short as those of tests; `tests/callbacks/test_metrics.py` has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.callbacks.metrics.can_plot", lambda: False)
        yield


@pytest.fixture(scope="session", autouse=True)
def cache_of_shared_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of modules and of the session decode lands in a cache of theirs; tests have their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images of one test are not found by another, and none land in the user's cache."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Variables that a test sets, or a library in it, are not there in the next one, nor in its processes."""
    before = dict(os.environ)
    yield
    for name in {*before, *os.environ} - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


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


@pytest.fixture(scope="session")
def sampled_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A conditional, an unconditional and a two-dimensional model, trained until images and classes differ.

    Files that use it are one group of xdist, so that one worker trains the models.
    """
    folder = tmp_path_factory.mktemp("runs")
    fast = {"generator_lr": 0.02, "average_halflife": 100}
    common: dict[str, Any] = {
        "images": 640,
        "trainer": {"accelerator": "cpu", "precision": "32-true"},
        "callbacks": {"SampleGrid": None},
    }
    zoo.fit("dcgan_digits", out=folder / "digits", model={"width": 4, **fast}, **common)
    zoo.fit("vanilla_digits", out=folder / "plain", model={"width": 64, **fast}, **common)
    zoo.fit("vanilla_ring", out=folder / "ring", model={"width": 4}, data={"samples": 500}, **common)
    return {name: folder / name for name in ("digits", "plain", "ring")}
