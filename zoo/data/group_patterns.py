"""Expressions for `data.group` that keep near-duplicates on one side of the split, found from the names of files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.data.near_duplicates import NearDuplicates
from zoo.data.patterns import search
from zoo.data.pool import sample_groups
from zoo.errors import DataError

PLAIN = (
    r"([^/]+)\.[^./]+$",
    r"^(.*)/[^/]+$",
    r"^(.*?)[-_\s.]*\(?[0-9]+\)?\.[^./]+$",
    r"^(.*)[-_\s.][^-_\s./]*\.[^./]+$",
    r"^((?:.*/)?[^-_\s./]+)[-_\s.]",
)
"""Expressions that are tried: one name in several folders, a folder each, a number at the end, all but the last word,
the first word."""
MOST_WORDS = 12
"""Words that may tell near-duplicates apart, such as the tones of an emoji's skin; of more there is no pattern."""
EXPLAINED = 0.3
"""Smallest share of the pairs that such words tell apart: numbers that happen to occur twice are no pattern."""
LARGEST = 0.2
"""Share of all images that one group may have."""
HELPS = 0.85
"""Share of the held-out images with a near-duplicate in training that may be left."""


@dataclass(frozen=True)
class Grouping:
    """An expression for `data.group`, and what it would do.

    Args:
        pattern: the expression.
        groups: number of groups.
        largest: images of the largest group.
        left: held-out images that would still have a near-duplicate in training.
        held_out: number of held-out images.
    """

    pattern: str
    groups: int
    largest: int
    left: int
    held_out: int


def suggest_grouping(
    names: Sequence[str], pairs: NearDuplicates, count: int, before: int, seed: int = 0
) -> Grouping | None:
    """Return the expression that parts the fewest near-duplicates; None if none helps.

    Args:
        names: paths (N,) of the images below the root.
        pairs: the near-duplicates among them.
        count: number of images to hold out.
        before: held-out images that have a near-duplicate in training without groups.
        seed: seed of the split.
    """
    found = []
    for pattern in dict.fromkeys([*PLAIN, *_of_words(names, pairs)]):
        grouping = _tried(pattern, names, pairs, count, seed)
        if grouping is not None and grouping.left <= HELPS * before:
            found.append(grouping)
    return min(found, key=lambda grouping: (grouping.left, -grouping.groups), default=None)


def _tried(pattern: str, names: Sequence[str], pairs: NearDuplicates, count: int, seed: int) -> Grouping | None:
    """Return what an expression would do; None if it groups nothing, too much, or takes too long."""
    try:
        groups = group_numbers(pattern, names)
        sizes = np.bincount(groups)
        if sizes.max() == 1 or sizes.max() > max(2, LARGEST * len(names)):
            return None
        held_out = sample_groups(groups, count, seed)
    except DataError:
        return None
    return Grouping(pattern, len(sizes), int(sizes.max()), len(pairs.across(held_out)), len(held_out))


def group_numbers(pattern: str, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the group number (N,) of each path, as `data.group` numbers them.

    Raises:
        DataError: if the search takes too long.
    """
    number: dict[str | tuple[str, ...], int] = {}
    matches = search("data.group", re.compile(pattern), names)
    keys = (name if match is None else match for name, match in zip(names, matches))
    return np.fromiter((number.setdefault(key, len(number)) for key in keys), np.int64, len(names))


def _of_words(names: Sequence[str], pairs: NearDuplicates) -> Iterator[str]:
    """Yield expressions that ignore the words in which the names of near-duplicates differ."""
    words, places = Counter[str](), Counter[int]()
    for i, j in zip(pairs.first.tolist(), pairs.second.tolist()):
        differing = _difference(names[i], names[j])
        if differing is not None:
            words.update({word for word in differing[1] if word})
            places[differing[0]] += 1
    common = [word for word, number in words.most_common(MOST_WORDS) if number > 2]
    if sum(words[word] for word in common) < EXPLAINED * len(pairs):
        return
    either = "|".join(re.escape(word) for word in sorted(common))
    yield rf"^(.*?)(?:[-_\s.]\(?(?:{either})\)?)?\.[^./]+$"
    for place, _ in places.most_common(2):
        if place:
            before = r"[^-_\s./]+" + (rf"(?:[-_\s./]+[^-_\s./]+){{{place - 1}}}" if place > 1 else "")
            yield rf"^({before})(?:[-_\s./](?:{either}))?(?![^-_\s./])(.*)$"


def _difference(a: str, b: str) -> tuple[int, tuple[str, str]] | None:
    """Return the number of words before the only one in which two paths differ, and both words; None for more.

    One of the words is empty where the other path has one more.
    """
    left, right = (re.findall(r"[^-_ ./()]+", name) for name in (a, b))
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    end = 0
    while end < min(len(left), len(right)) - start and left[-1 - end] == right[-1 - end]:
        end += 1
    rest = left[start : len(left) - end], right[start : len(right) - end]
    if any(len(words) > 1 for words in rest) or rest == ([], []):
        return None
    return start, ("".join(rest[0]), "".join(rest[1]))
