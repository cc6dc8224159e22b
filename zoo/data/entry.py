"""An entry in the cache of decoded images: a folder with the images, what was left out, and a digest of the files.

It is written in a temporary folder that is renamed when complete, so decoding that was killed leaves no incomplete
entry behind.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.facts import Facts
from zoo.errors import DataError
from zoo.io.entries import DAMAGE, read_entry
from zoo.io.files import TupleDigest, atomic_write
from zoo.io.parallel import in_order
from zoo.io.progress import step
from zoo.io.room import free_bytes, mapped_array, no_room, size_text
from zoo.io.scratch import scratch_mark, sweep

WAITING, WAITING_BYTES = 64, 2**27
"""Largest number of decoded images that wait to be written, and of their bytes: a bound on memory at any resolution."""
NAMED = 20
"""Largest number of images that cannot be decoded and are named one by one."""
LARGE = 2**30
"""Bytes from which on the disk that the decoded images take is said before they are decoded."""

Decoded = tuple[NDArray[np.uint8], Facts]
"""A square array (resolution, resolution, channels), and facts about its image."""


@dataclass(frozen=True)
class Outcome:
    """What became of an image.

    Args:
        image: the decoded image, or name and reason of one that cannot be decoded.
        content: digest of its file's content; empty if that is not asked for.
    """

    image: Decoded | str
    content: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of the cache.

    Args:
        folder: where it is, or will be.
        shape: number, height, width and channels of the images that are to be decoded.
    """

    folder: Path
    shape: tuple[int, int, int, int]

    @property
    def is_there(self) -> bool:
        """Whether the images are decoded, and the entry is whole."""
        try:
            return len(self.images()) == self.shape[0] - len(self.record()["skipped"])
        except DAMAGE:  # nothing, or what a power cut has left
            return False

    @property
    def lock(self) -> Path:
        """The file that the process locks which writes the entry."""
        return self.folder.parent.parent / "locks" / f"{self.folder.name}.lock"

    @property
    def size(self) -> int:
        """The bytes that the images take."""
        return int(np.prod(self.shape, dtype=np.int64))

    def images(self) -> NDArray[np.uint8]:
        """Return the decoded images (N, H, W, C), mapped from their file."""
        images: NDArray[np.uint8] = np.load(self.folder / "images.npy", mmap_mode="r")
        return images

    def record(self) -> dict[str, Any]:
        """Return the record of the images that could not be decoded (`skipped`), and of facts about the others."""
        record: dict[str, Any] = json.loads((self.folder / "kept.json").read_text())
        return record

    def content_digest(self, contents: Callable[[], Iterable[str]]) -> str:
        """Return the digest of the contents of all files, which is stored beside the images.

        Args:
            contents: function that returns the digests of all contents, for entries of earlier versions.
        """
        path = self.folder / "content.json"
        known = read_entry(path, lambda path: str(json.loads(path.read_text())))
        if known is not None:
            return known
        digest = TupleDigest()
        for content in contents():
            digest.add(content)
        with atomic_write(path) as scratch:
            scratch.write_text(json.dumps(digest.hexdigest()))
        return digest.hexdigest()

    def write(self, read: Callable[[int], Outcome], name_of: Callable[[int], str], skip: bool) -> None:
        """Decode all images and write the entry, completely or not at all.

        Args:
            read: function that decodes the i-th image; it is called from several threads.
            name_of: function that returns a name of the i-th image.
            skip: whether images that cannot be decoded are left out.

        Raises:
            DataError: for an image that cannot be decoded, unless it is left out; if none could be decoded; or if the
                disk has no room.
        """
        scratch = self.folder.with_name(f"decoding-{scratch_mark()}-{secrets.token_hex(4)}")
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            sweep(self.folder.parent, "decoding-*", deep=False)
            scratch.mkdir()  # not by `tempfile`, whose folders no other user may read
        except OSError as error:
            raise no_room(scratch / "images.npy", self.size, error) from error
        try:
            _fill(scratch, self, read, name_of, skip)
            try:
                os.rename(scratch, self.folder)
            except OSError:  # another process was first to finish the same images, or those there are damaged
                if not self.is_there:
                    print(f"note: {self.folder} was damaged; its images were decoded again", file=sys.stderr)
                    shutil.rmtree(self.folder)
                    os.rename(scratch, self.folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _fill(
    scratch: Path, entry: Entry, read: Callable[[int], Outcome], name_of: Callable[[int], str], skip: bool
) -> None:
    """Write the files of an entry into a temporary folder; the arguments are those of `Entry.write`."""
    path, (count, side, _, _) = scratch / "images.npy", entry.shape
    if entry.size >= LARGE:
        print(
            f"decoding {count:,} images once: {size_text(entry.size)} in {entry.folder.parent}, where "
            f"{size_text(free_bytes(scratch))} are free",
            file=sys.stderr,
        )
    images = mapped_array(path, entry.shape, np.uint8)
    skipped, facts, contents = list[int](), Facts(), TupleDigest()
    waiting = max(1, min(WAITING, WAITING_BYTES // images[0].nbytes))
    with step(f"decoding {count:,} images once to {side} px", count) as advance:
        for i, outcome in in_order(read, count, waiting):
            if i % waiting == 0:
                # Mapped anew from time to time, so that what is written leaves the memory of the process.
                images = np.load(path, mmap_mode="r+")
                advance(min(waiting, count - i))
            contents.add(outcome.content)
            if isinstance(outcome.image, str):
                skipped.append(i)
                _leave_out(outcome.image, skip, len(skipped))
            else:
                images[i - len(skipped)], own_facts = outcome.image
                facts.add(own_facts)
    if len(skipped) == count:
        raise DataError(f"none of the {count:,} images could be decoded; the first: {name_of(0)}")
    images.flush()
    if skipped:
        del images
        shorten(path, count - len(skipped))
    with atomic_write(scratch / "kept.json", sync=True) as file:
        file.write_text(json.dumps({"skipped": skipped, "facts": facts.as_dict()}))
    if outcome.content:
        (scratch / "content.json").write_text(json.dumps(contents.hexdigest()))


def _leave_out(reason: str, skip: bool, number: int) -> None:
    """Say that an image is left out; of many only the first are named.

    Args:
        reason: name of the image and why it cannot be decoded.
        skip: whether such images are left out.
        number: number of such images so far, with this one.

    Raises:
        DataError: if they are not left out.
    """
    if not skip:
        raise DataError(
            f"an image cannot be decoded: {reason}. Repair or remove it, or set data.on_corrupt=skip to leave such "
            "images out"
        )
    if number <= NAMED:
        print(f"left out: {reason}", file=sys.stderr)
    elif number == NAMED + 1:
        print(f"further images that cannot be decoded are counted but not named, from {reason} on", file=sys.stderr)


def shorten(path: Path, rows: int) -> None:
    """Remove all but the first rows of an array in a .npy file, in place: a copy would need as much disk again."""
    images = np.load(path, mmap_mode="r")
    shape, offset, row = (rows, *images.shape[1:]), images.offset, images[0].nbytes
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(images) | {"shape": shape})
    with open(path, "rb+") as file:
        # The header ends in spaces and a line break; its length, which stands in it, stays that of the old one.
        text = header.getvalue()[10:].rstrip()
        file.seek(10)
        file.write(text.ljust(offset - 11) + b"\n")
        file.truncate(offset + rows * row)
