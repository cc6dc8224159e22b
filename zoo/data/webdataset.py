"""Tar files of samples in WebDataset's layout, as a set whose images are reached by their number."""

from __future__ import annotations

import glob
import os
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.encoded import EncodedImages
from zoo.data.remote import FAULTS, check_room, copied, is_url, read_ranges, size_of
from zoo.data.samples import Encoded, SampleFacts, Samples, chunk_starts, named_labels
from zoo.data.shards import (
    UNLABELLED,
    ShardIndex,
    cached_index,
    expanded,
    index_path,
    make_index,
    stored_index,
    write_index,
)
from zoo.errors import DataError, first_line
from zoo.io.download import TIMEOUT
from zoo.io.files import digest_of_values
from zoo.io.progress import step

MOST_OPEN = 128
"""Shards that are open at once in a process."""


class WebDataset(EncodedImages):
    """Images in tar files of WebDataset's layout, here or on a web server, with the labels that lie beside them.

    The files of a sample follow each other and share a name up to the first dot, such as `0001.jpg` and `0001.cls`. The
    tar files must not be compressed: an index of each, made once and kept in the cache, tells where its images lie, so
    that a resumed run, and each of several processes, goes directly to the images that are next.

    Args:
        urls: paths or addresses of the shards as one pattern: `shards/train-{000..999}.tar`, `shards/*.tar`, or
            `http://host/train-{000..999}.tar`.
        test_urls: shards of the publisher's test part, which is held out; empty to hold out `held_out` of the images.
        image_key: ending of the image files, such as `jpg` or `left.png`; empty for the only one of a known format.
        label_key: ending of the files with the labels, whole numbers or names; `json.FIELD` for a field of JSON files;
            empty for `cls`.
        copy: whether shards behind addresses are copied to the cache. If false, each image is read from the server when
            it is needed, for sets that do not fit a disk; the server has to give ranges of bytes.
        encoded: settings of `zoo.data.encoded.EncodedImages` and `zoo.data.Images`.
    """

    def __init__(
        self,
        *,
        urls: str,
        test_urls: str = "",
        image_key: str = "",
        label_key: str = "",
        copy: bool = True,
        **encoded: Any,
    ) -> None:
        super().__init__(**encoded)
        if not urls:
            raise ValueError("urls is a pattern of tar files, such as shards/train-{000..999}.tar; got an empty text")
        self.urls, self.test_urls, self.copy = urls, test_urls, copy
        self.image_key, self.label_key = image_key.lstrip("."), label_key.lstrip(".")

    def check_place(self) -> None:
        """Check that the shards that are files are there.

        Raises:
            DataError: if one is not, or is both trained on and held out.
        """
        both = set(self._places("urls")) & set(self._places("test_urls") if self.test_urls else ())
        if both:
            raise DataError(
                f"data.test_urls={self.test_urls}: {len(both):,} of its shards are trained on too, such as "
                f"{min(both)}; images that are held out must be others. Leave them out of data.urls"
            )

    def _places(self, setting: str) -> list[str]:
        """Return the paths and addresses of the shards of a setting, `urls` or `test_urls`, which errors name."""
        try:
            return places_of(getattr(self, setting))
        except DataError as error:
            raise DataError(str(error).replace("data.urls", f"data.{setting}", 1)) from error

    def samples(self) -> Samples:
        """Return the images of all shards of `urls`."""
        return self._indexed("urls", self.urls)

    def test_samples(self) -> Samples | None:
        """Return the images of all shards of `test_urls`; None if it is empty."""
        self.check_place()
        return self._indexed("test_urls", self.test_urls) if self.test_urls else None

    def _indexed(self, setting: str, pattern: str) -> Samples:
        try:
            places = places_of(pattern)
            remote = [place for place in places if is_url(place)]
            if self.copy:
                check_room(remote)
            indices, held = [], []
            with step(f"indexing {len(places):,} shards", len(places)) as advance:
                for place in places:
                    held.append(copied(place) if self.copy and is_url(place) else place)
                    indices.append(self._index_of(held[-1], place))
                    advance(1)
            return ShardSamples([str(place) for place in held], places, indices, self.label_key)
        except DataError as error:
            raise DataError(str(error).replace("data.urls", f"data.{setting}", 1)) from error

    def _index_of(self, held: Path | str, place: str) -> ShardIndex:
        """Return the index of a shard, from the cache where it is unchanged."""
        if isinstance(held, str) and is_url(held):
            address = held, *size_of(held)
            path = index_path(address, self.image_key, self.label_key)
            if known := stored_index(path):
                return known
            try:
                with urllib.request.urlopen(held, timeout=TIMEOUT) as body:
                    return write_index(path, make_index(body, place, self.image_key, self.label_key))
            except FAULTS as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"data.urls: {place} cannot be read: {first_line(error)}") from error
        file = Path(held)
        status = file.stat()
        state = str(file.resolve()), status.st_size, status.st_mtime_ns
        return cached_index(file, place, state, self.image_key, self.label_key)


def places_of(pattern: str) -> list[str]:
    """Return the paths and addresses that a pattern stands for; those of a `*` are sorted.

    Raises:
        DataError: if a shard is not there, or is no file or web address.
    """
    places: list[str] = []
    for part in expanded(pattern):
        scheme = part.partition(":")[0] if ":" in part[:12] else ""
        if is_url(part):
            places.append(part)
        elif scheme and not Path(part).exists():
            raise DataError(
                f"data.urls={pattern}: shards are files, or addresses of http or https; got {scheme}:. Where the "
                "position in a stream cannot be computed, a resumed run would repeat or miss images. Copy the shards "
                "to a folder, mount the storage, or give its addresses for the web"
            )
        else:
            local = os.path.expanduser(part.removeprefix("file://"))
            found = sorted(glob.glob(local)) if glob.has_magic(local) else [local]
            places += found or [local]
    places = list(dict.fromkeys(places))
    missing = [place for place in places if not is_url(place) and not Path(place).is_file()]
    if missing:
        raise DataError(
            f"data.urls={pattern}: {len(missing):,} of {len(places):,} shards are not there, such as {missing[0]}. "
            "Check the pattern; a range includes both ends: {000..009} is ten shards"
        )
    return places


class ShardSamples(Samples):
    """The images of indexed shards.

    Args:
        held: path, or address, of each shard, from which it is read.
        names: name of each shard in messages.
        indices: the index of each shard.
        label_key: ending of the labels, for messages.

    Raises:
        DataError: if only some samples have labels.
    """

    def __init__(
        self, held: Sequence[str], names: Sequence[str], indices: Sequence[ShardIndex], label_key: str
    ) -> None:
        self.held, self.names = list(held), list(names)
        self.offsets = np.concatenate([index.offsets for index in indices])
        self.lengths = np.concatenate([index.lengths for index in indices])
        counts = [len(index.offsets) for index in indices]
        self.ends = np.cumsum(counts)
        self._open: dict[str, Any] = {}
        self._lock = Lock()
        texts = np.concatenate([index.labels for index in indices])
        labelled = texts != UNLABELLED
        labels: NDArray[np.int64] | None = None
        class_names: tuple[str, ...] = ()
        if labelled.all():
            labels, class_names = named_labels(texts)
        facts = SampleFacts(
            digest_of_values("shards", [index.digest for index in indices]),
            chunk_starts(counts),
            labels,
            class_names,
            Counter({"samples without an image": sum(index.left_out for index in indices)}),
        )
        super().__init__(len(self.offsets), facts)
        if labelled.any() and not labelled.all():
            first = int(np.argmin(labelled))
            raise DataError(
                f"data.urls: {int((~labelled).sum()):,} of {len(self):,} samples have no label "
                f"(.{(label_key or 'cls').partition('.')[0]}), such as {self.name(first)}. Label all, or give "
                "data.label_key=none, an ending that no file has, to train without labels"
            )

    def read(self, numbers: NDArray[np.int64]) -> Sequence[Encoded]:
        """Return the content of the image files with these numbers (n,), which are in ascending order."""
        shards = np.searchsorted(self.ends, numbers, side="right")
        result: list[Encoded] = []
        for shard in np.unique(shards).tolist():
            chosen = numbers[shards == shard]
            offsets, lengths = self.offsets[chosen].tolist(), self.lengths[chosen].tolist()
            place = self.held[shard]
            if is_url(place):
                result += read_ranges(place, offsets, lengths)
            else:
                with self._lock:  # so that no other thread closes the file
                    descriptor = self._descriptor(place)
                    result += [os.pread(descriptor, length, offset) for offset, length in zip(offsets, lengths)]
        return result

    def name(self, number: int) -> str:
        """Return the shard of an image, and its place among the images of the shard."""
        shard = int(np.searchsorted(self.ends, number, side="right"))
        first = int(self.ends[shard - 1]) if shard else 0
        return f"{self.names[shard]}, image {number - first} (at byte {int(self.offsets[number]):,})"

    def _descriptor(self, place: str) -> int:
        """Return the descriptor of an open shard; processes share no position in it, since `pread` has none."""
        if place not in self._open:
            if len(self._open) >= MOST_OPEN:
                oldest = next(iter(self._open))
                self._open.pop(oldest).close()
            self._open[place] = open(place, "rb")  # noqa: SIM115 - closed with the last reference to it
        return int(self._open[place].fileno())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())
