"""The examples in docstrings, run as they stand."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import zoo

ROOT = Path(zoo.__file__).parent
MODULES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text()
]
"""Every module with an example."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_the_results_they_show(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0  # the captured output shows the difference


@pytest.mark.parametrize("name", zoo.metrics.__all__)
def test_every_public_name_of_the_metrics_has_an_example(name: str) -> None:
    member = getattr(zoo.metrics, name)
    assert ">>> " in (inspect.getdoc(member) or "")
    assert member.__module__ in MODULES


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("training.clock", "crossed"),
        ("training.clock", "retention"),
        ("training.clock", "Clocked"),
        ("training.clock", "Schedule"),
        ("training.seeding", "derive_seed"),
        ("training.batch", "Batch"),
        ("sampling.images", "slerp"),
        ("sampling.images", "truncated"),
        ("hub.loading", "pretrained"),
        ("hub.loading", "from_pretrained"),
        ("models.vanilla", "VanillaGAN"),
    ],
)
def test_the_first_things_a_reader_looks_up_have_an_example(module: str, name: str) -> None:
    assert ">>> " in (getattr(importlib.import_module(f"zoo.{module}"), name).__doc__ or "")
