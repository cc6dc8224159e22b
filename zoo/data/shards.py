"""Shards: tar files of samples in WebDataset's layout, and an index of each that tells where its images lie.

With the index an image is read by its number, without the files before it. Files of one sample follow each other and
share a name up to the first dot: `0001.jpg`, `0001.cls`. An index is made once and kept in the cache.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.raster import FORMAT_OF_SUFFIX
from zoo.errors import DataError
from zoo.io.entries import read_entry
from zoo.io.files import atomic_write, cache_folder, digest_of_values

INDEXER = 1  # part of the name of an index in the cache; increased when other samples are found than before
RANGE = re.compile(r"(\d+)\.\.(\d+)")
PROBED = 16  # images of a shard whose content is part of its digest
UNLABELLED = "\0"  # stands for the label of a sample without one


@dataclass(frozen=True)
class ShardIndex:
    """Where the images of a shard lie.

    Args:
        offsets: position (N,) of each image file in bytes.
        lengths: length (N,) of each image file in bytes.
        labels: label (N,) of each image as text, `UNLABELLED` for none.
        digest: digest of names, sizes, times and labels of its samples, and of the content of a few.
        left_out: number of samples without an image.
    """

    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: NDArray[np.str_]
    digest: str
    left_out: int


def expanded(pattern: str) -> list[str]:
    """Return what a pattern with braces stands for, in order: `a-{000..012}.tar`, `{train,val}.tar`.

    Raises:
        DataError: for a range that ends before it begins.
    """
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    if bounds := RANGE.fullmatch(match[1]):
        first, last = bounds.groups()
        if int(last) < int(first):
            raise DataError(f"data.urls: the range {match[0]} ends before it begins. Write {{{last}..{first}}}")
        width = len(first) if first.startswith("0") or len(first) == len(last) else 0
        parts = [str(number).zfill(width) for number in range(int(first), int(last) + 1)]
    else:
        parts = match[1].split(",")
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [whole for part in parts for whole in expanded(f"{before}{part}{after}")]


def cached_index(
    tar: Path | IO[bytes], name: str, state: object, image_key: str, label_key: str, kept: Path | None = None
) -> ShardIndex:
    """Return the index of a shard from the cache, after making it if it is not there.

    Args:
        tar: the file; or a stream of its content, which is read to the end.
        name: its name in messages.
        state: what changes when the file does.
        image_key: ending of the image files among those of a sample; empty for the only one of a known format.
        label_key: ending of the labels, `json.FIELD` for a field of a JSON file; empty for `cls`.
        kept: path of the index; None for one in the cache that follows from the other arguments.

    Raises:
        DataError: if it is no tar file, or has no images, or several where one is meant.
    """
    path = kept or index_path(state, image_key, label_key)
    return stored_index(path) or write_index(path, make_index(tar, name, image_key, label_key))


def write_index(path: Path, index: ShardIndex) -> ShardIndex:
    """Write an index into the cache, and return it."""
    with atomic_write(path) as scratch, open(scratch, "wb") as file:
        np.savez(
            file,
            offsets=index.offsets,
            lengths=index.lengths,
            labels=index.labels,
            digest=np.array(index.digest),
            left_out=np.array(index.left_out),
        )
    return index


def stored_index(path: Path) -> ShardIndex | None:
    """Return an index from its file in the cache; None if it is not there, or damaged."""
    return read_entry(path, _read_index)


def _read_index(path: Path) -> ShardIndex:
    with np.load(path) as stored:
        return ShardIndex(
            stored["offsets"], stored["lengths"], stored["labels"], str(stored["digest"]), int(stored["left_out"])
        )


def index_path(state: object, image_key: str, label_key: str) -> Path:
    """Return the path in the cache of the index of a shard; see `cached_index`."""
    return cache_folder() / "shards" / f"{digest_of_values('tar', INDEXER, state, image_key, label_key)}.npz"


def make_index(tar: Path | IO[bytes], name: str, image_key: str, label_key: str) -> ShardIndex:
    """Read the index of a shard from its content; see `cached_index` for the arguments and errors."""
    builder = _Builder(name, image_key, label_key)
    try:
        with tarfile.open(tar, "r:") if isinstance(tar, Path) else tarfile.open(fileobj=tar, mode="r|") as members:
            for key, group in itertools.groupby(_files(members, builder), key=lambda file: file.key):
                builder.add(key, {file.ending: file for file in group})
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"data.urls: {name} cannot be read as a tar file without compression ({error}). An image in a compressed "
            "one cannot be reached without unpacking all before it: unpack it (gunzip), or repair it"
        ) from error
    except OSError as error:
        raise DataError(f"data.urls: {name} cannot be read: {error}") from error
    return builder.finished()


@dataclass(frozen=True)
class _File:
    """A file of a sample.

    Args:
        key: name of the sample.
        ending: what follows the first dot of its name.
        entry: its entry in the tar file.
        content: its content, if it is needed for the index.
    """

    key: str
    ending: str
    entry: tarfile.TarInfo
    content: bytes


def _files(members: tarfile.TarFile, builder: _Builder) -> Iterator[_File]:
    """Yield the files of the samples, with the content of labels and of the first images."""
    for entry in members:
        members.members = []  # type: ignore[attr-defined]  # a list of all entries would fill the memory
        folder, _, base = entry.name.rpartition("/")
        stem, _, ending = base.partition(".")
        if not entry.isreg() or not stem or not ending or base.startswith("__"):
            continue
        is_needed = ending == builder.label_ending or len(builder.offsets) < PROBED
        reader = members.extractfile(entry) if is_needed else None  # read now: a stream does not go back
        yield _File(f"{folder}/{stem}".lstrip("/"), ending, entry, b"" if reader is None else reader.read())


@dataclass
class _Builder:
    """Collects the samples of a shard."""

    name: str
    image_key: str
    label_key: str
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    left_out: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    @property
    def label_ending(self) -> str:
        """Ending of the files that hold the labels."""
        return (self.label_key or "cls").partition(".")[0]

    def add(self, key: str, files: dict[str, _File]) -> None:
        """Add a sample, given its files by their endings."""
        self.endings.update(files.keys())
        ending = self._image_of(key, list(files))
        if ending is None:
            self.left_out += 1
            return
        image = files[ending]
        self.offsets.append(image.entry.offset_data)
        self.lengths.append(image.entry.size)
        self.labels.append(self._label_of(key, files))
        self.digest.update(f"{key}.{ending} {image.entry.size} {image.entry.mtime} {self.labels[-1]}\n".encode())
        self.digest.update(image.content)

    def finished(self) -> ShardIndex:
        """Return the index.

        Raises:
            DataError: if there are no images.
        """
        if not self.offsets:
            found = f"; there are {', '.join(f'.{e}' for e, _ in self.endings.most_common(6))}" if self.endings else ""
            wanted = f"files ending in .{self.image_key} (data.image_key)" if self.image_key else "images"
            raise DataError(f"data.urls: {self.name} has no {wanted}{found}. Name the ending: data.image_key=jpg")
        arrays = np.array(self.offsets, np.int64), np.array(self.lengths, np.int64), np.array(self.labels, np.str_)
        return ShardIndex(*arrays, self.digest.hexdigest(), self.left_out)

    def _image_of(self, key: str, endings: list[str]) -> str | None:
        """Return the ending of the image among those of a sample; None if it has none.

        Raises:
            DataError: if it has several.
        """
        if self.image_key:
            return self.image_key if self.image_key in endings else None
        images = [ending for ending in endings if f".{ending.rpartition('.')[2].lower()}" in FORMAT_OF_SUFFIX]
        if len(images) > 1:
            raise DataError(
                f"data.urls: the sample {key} of {self.name} has several images: "
                f"{', '.join(f'.{ending}' for ending in images)}. Say which is meant: data.image_key={images[0]}"
            )
        return images[0] if images else None

    def _label_of(self, key: str, files: dict[str, _File]) -> str:
        """Return the label of a sample as text.

        Raises:
            DataError: if it is not text, or has no such field.
        """
        name = (self.label_key or "cls").partition(".")[2]
        if self.label_ending not in files:
            return UNLABELLED
        content = files[self.label_ending].content
        try:
            return str(json.loads(content)[name]) if name else content.decode("utf-8").strip()
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"data.label_key={self.label_key or 'cls'}: the label of the sample {key} of {self.name} cannot be "
                f"read: {type(error).__name__}: {error}. It is a whole number or a name, or json.FIELD for a field of "
                "a JSON file"
            ) from error
