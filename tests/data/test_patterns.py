"""Tests of the regular expressions that a user gives: they are searched for as `re` does, in bounded time."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from PIL import Image

from zoo.data import Folder
from zoo.data.patterns import compile_pattern, search
from zoo.errors import DataError


def test_a_search_returns_the_parentheses_or_the_match() -> None:
    paths = ["cats/a_1.png", "dogs/b_2.png", "é/\udc80.png"]
    assert [*search("data.group", re.compile(r"(\w)_(\d)"), paths)] == [("a", "1"), ("b", "2"), None]
    assert [*search("data.group", re.compile(r"\d"), paths)] == [("1",), ("2",), None]
    assert [*search("data.group", re.compile(r"(x)?_"), paths)] == [("",), ("",), None]
    assert [*search("data.match", re.compile("é"), paths)] == [None, None, ("é",)]


@pytest.mark.parametrize("setting", ["match", "group"])
def test_an_expression_that_takes_ages_is_refused(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`data.match=(a+)+$` does not hang the run: the sibling of row M10 in what a user types."""
    monkeypatch.setattr("zoo.data.patterns.LONGEST", 1.0)
    for name in ("a" * 40 + "!", "b"):
        Image.new("L", (4, 4)).save(tmp_path / f"{name}.png")
    data = Folder(str(tmp_path), resolution=4, held_out=0, **{setting: "(a+)+$"})
    began = time.monotonic()
    with pytest.raises(DataError) as caught:
        data.setup()
    assert time.monotonic() - began < 60  # it would take days
    text = str(caught.value)
    assert text.startswith(f"data.{setting}='(a+)+$' takes longer than 1 s for 2 paths, such as aaaaaaaa")
    assert text.endswith("write it with one repetition")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "missing ), unterminated subpattern at position 0"),
        ("a{99999999999999999999}", "the repetition number is too large"),
        ("(" * 5000 + ")" * 5000, "it is nested too deeply"),
    ],
)
def test_what_is_no_expression_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"none: {reason}")) as caught:
        compile_pattern("data.match", pattern)
    assert str(caught.value).startswith(f"data.match is a regular expression; {pattern[:200]!r} is none")
