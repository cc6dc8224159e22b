"""Encoded images that a source reads by their number, in any order and from any process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.raster import open_encoded
from zoo.errors import DataError
from zoo.io.files import digest_of_values

Encoded = bytes | Image.Image
"""The content of an image file, or an image that its source has decoded."""

CHUNK = 256
"""Images that lie together and are read together, where the source does not say which do."""


@dataclass(frozen=True)
class SampleFacts:
    """What is known about the images of a source without decoding them.

    Args:
        digest: digest of their content, the same for a copy of the files elsewhere.
        starts: number (K,) of the first image of each chunk of images that lie together, ascending from 0.
        labels: class indices (N,) of int64, or None.
        class_names: names of the classes, empty if they are not known.
        left_out: numbers of samples that are no images, by the reason, in words that follow a number.
        notes: what the user has to know.
        state: what changes when a file is changed, beside the digest, if it depends on the machine as times do.
    """

    digest: str
    starts: NDArray[np.int64]
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    state: str = ""


class Samples:
    """The encoded images of a source. A subclass implements `read` and `name`, and drops open files when it is copied.

    Args:
        count: number of images N.
        facts: what is known about them.
    """

    def __init__(self, count: int, facts: SampleFacts) -> None:
        self.count, self.facts = count, facts

    def read(self, numbers: NDArray[np.int64]) -> Sequence[Encoded]:
        """Return the images with these numbers (n,), which are in ascending order.

        Raises:
            OSError: if they cannot be read.
        """
        raise NotImplementedError

    def name(self, number: int) -> str:
        """Return a name of an image for messages."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.count

    def open(self, number: int) -> Image.Image:
        """Return an image by its number, without decoding it if its source has not.

        Raises:
            OSError: if it cannot be read, or is no image.
        """
        return opened(self.read(np.array([number]))[0])

    def content(self, number: int) -> bytes:
        """Return the content of an image file by its number, empty for one that cannot be read."""
        try:
            encoded = self.read(np.array([number]))[0]
        except OSError:
            return b""
        return encoded if isinstance(encoded, bytes) else encoded.tobytes()


def opened(encoded: Encoded) -> Image.Image:
    """Open an encoded image; one that is decoded is returned as it is."""
    return open_encoded(encoded) if isinstance(encoded, bytes) else encoded


class Joined(Samples):
    """The images of two parts of a set, of which the second is the publisher's test part.

    Args:
        train: the part to train on.
        test: the test part.

    Raises:
        DataError: if only one of them has labels, or they name their classes differently.
    """

    def __init__(self, train: Samples, test: Samples) -> None:
        self.parts = train, test
        first, second = train.facts, test.facts
        if (first.labels is None) is not (second.labels is None):
            which = "training" if second.labels is None else "test"
            raise DataError(f"only the {which} part has labels. Give the other part labels too, or leave it out")
        labels = None
        if first.labels is not None and second.labels is not None:
            if first.class_names != second.class_names:
                raise DataError(
                    f"the training part has the classes {', '.join(first.class_names[:6]) or 'by number'}, the test "
                    f"part {', '.join(second.class_names[:6]) or 'by number'}. Give both the same classes"
                )
            labels = np.concatenate([first.labels, second.labels])
        facts = SampleFacts(
            digest_of_values("parts", first.digest, second.digest),
            np.concatenate([first.starts, second.starts + len(train)]),
            labels,
            first.class_names,
            first.left_out + second.left_out,
            (*first.notes, *(note for note in second.notes if note not in first.notes)),
            first.state + second.state,
        )
        super().__init__(len(train) + len(test), facts)

    def read(self, numbers: NDArray[np.int64]) -> Sequence[Encoded]:
        """Return the images with these numbers (n,), which are in ascending order."""
        first, second = self.parts
        cut = int(np.searchsorted(numbers, len(first)))
        return [
            *(first.read(numbers[:cut]) if cut else ()),
            *(second.read(numbers[cut:] - len(first)) if cut < len(numbers) else ()),
        ]

    def name(self, number: int) -> str:
        """Return a name of an image for messages."""
        first, second = self.parts
        return first.name(number) if number < len(first) else second.name(number - len(first))


def named_labels(values: Sequence[str] | NDArray[np.str_]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return class indices (N,) and class names for labels that are given as texts.

    Whole numbers are the indices themselves and have no names; other texts are numbered in alphabetical order.
    """
    texts = np.asarray(values, dtype=np.str_)
    names, indices = np.unique(texts, return_inverse=True)
    if all(name.lstrip("-").isdecimal() for name in names):
        return np.array([int(name) for name in names], dtype=np.int64)[indices], ()
    return indices.astype(np.int64), tuple(str(name) for name in names)


def chunk_starts(counts: Sequence[int], most: int = CHUNK) -> NDArray[np.int64]:
    """Return the first number of each chunk of at most `most` images, for files with `counts` images each."""
    ends = np.cumsum(counts)
    pieces = [np.arange(end - count, end, most) for end, count in zip(ends.tolist(), counts) if count]
    return np.concatenate(pieces).astype(np.int64) if pieces else np.zeros(0, np.int64)
