"""Expressions for `data.group` from the names of near-duplicates: those that keep them together, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.data import Folder
from zoo.data.group_patterns import group_numbers, suggest_grouping
from zoo.data.near_duplicates import NearDuplicates

NAMES = {
    "numbers": [f"cat{i:03d}-{k}.jpg" for i in range(40) for k in range(2)],
    "words": [f"{word}{end}.png" for word in map("pic{:02d}x".format, range(40)) for end in ("", "_small")],
    "inner": [f"emoji_u{i:04x}{tone}_200d.png" for i in range(40) for tone in ("", "_1f3fb")],
    "folders": [f"{folder}/{i:02d}.jpg" for i in range(40) for folder in ("day", "night")],
    "videos": [f"video{i}/frame{k}.jpg" for i in range(40) for k in range(2)],
}
"""Names of 40 pairs of near-duplicates, the images 2 i and 2 i + 1."""


def twins(count: int) -> NearDuplicates:
    first = np.arange(0, count, 2)
    return NearDuplicates(first, first + 1, np.ones(len(first), np.float32), count, count)


@pytest.mark.parametrize("kind", NAMES)
def test_the_expression_keeps_all_pairs_together_and_nothing_else(kind: str) -> None:
    names = NAMES[kind]
    found = suggest_grouping(names, twins(80), count=8, before=8)
    assert found is not None
    assert (found.left, found.largest, found.groups) == (0, 2, 40)
    groups = group_numbers(found.pattern, names)
    assert (groups[0::2] == groups[1::2]).all()


def test_names_that_tell_nothing_get_no_expression() -> None:
    random = np.random.default_rng(0)
    names = ["".join(map(chr, random.integers(97, 123, 12))) + ".jpg" for _ in range(80)]
    assert suggest_grouping(names, twins(80), count=8, before=8) is None


def test_the_numbers_are_those_of_the_source(tmp_path: Path) -> None:
    for name in ("a_1", "a_2", "b_1", "c"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    pattern = "^([a-z])_"
    source = Folder(str(tmp_path), resolution=8, group=pattern, batch_size=1)
    assert source._groups(source.listing().names).tolist() == group_numbers(pattern, source.listing().names).tolist()
