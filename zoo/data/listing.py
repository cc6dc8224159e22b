"""The image files below a folder, and what is left out.

Names are texts, not `Path`s, and sizes and times are in arrays: a million files take some 150 MB.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.raster import FORMAT_OF_SUFFIX, has_avif, irregular_kind, kind_of_mode, open_raster
from zoo.errors import DataError
from zoo.io.files import digest_of_text, joined
from zoo.io.progress import step

READ_ALREADY = "links to folders that are read already"
DECODER = 2  # part of the name of a cache entry; increased when files are converted to other pixels than before
TOLD = 1000  # files between two reports of progress


@dataclass
class Listing(ABC):
    """Image files in a folder or in an archive.

    Args:
        root: the folder, or the file of the archive.
        names: paths of the image files below the root, with forward slashes, in the order of their parts.
        sizes: size (N,) of each file in bytes.
        marks: number (N,) by which a change of a file is noticed besides its size.
        left_out: numbers of the other files, by the reason, in words that follow a number.
        faults: what lies among the images and cannot be read, with the reason: folders, pipes, devices.
        prefix: folder with a slash at its end in which all images of an archive are, or nothing.
    """

    root: Path
    names: list[str] = field(default_factory=list)
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    marks: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    left_out: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    prefix: str = ""

    @abstractmethod
    def open(self, i: int) -> Image.Image:
        """Open the i-th image without decoding it.

        Raises:
            OSError: if it is no image; the text does not contain the path.
        """

    @abstractmethod
    def content(self, i: int) -> bytes:
        """Return the bytes of the i-th file, none for one that cannot be read."""

    @abstractmethod
    def read_other(self, name: str) -> bytes | None:
        """Return the bytes of a file that is no image, by its path below the prefix; None if it is not there.

        Raises:
            OSError: if it cannot be read.
        """

    @abstractmethod
    def folders(self) -> list[str]:
        """Return the names of the folders directly below the prefix, sorted."""

    @abstractmethod
    def source(self) -> str:
        """Return an identifier of the files and their state."""

    def path(self, i: int) -> Path:
        """Return the path of the i-th file; in an archive, its path below the archive's own."""
        return self.root / self.names[i]

    def fill(self, names: list[str], sizes: Sequence[int], marks: Sequence[int]) -> None:
        """Take files in any order, with their sizes and marks."""
        # "\0" sorts before every character of a name, so the parts of two paths are compared one after another.
        order = sorted(range(len(names)), key=[name.replace("/", "\0") for name in names].__getitem__)
        self.names = [names[i] for i in order]
        self.sizes, self.marks = np.asarray(sizes, np.int64)[order], np.asarray(marks, np.int64)[order]

    def keep(self, kept: NDArray[np.bool_], reason: str) -> None:
        """Leave out the files for which `kept` (N,) is false."""
        self.left_out[reason] += int(len(kept) - kept.sum())
        self.names = [name for name, is_kept in zip(self.names, kept.tolist()) if is_kept]
        self.sizes, self.marks = self.sizes[kept], self.marks[kept]

    def digest(self, *head: Any) -> str:
        """Return the digest of some values and of name, size and mark of every file, as of a list of triples."""
        rows = zip(self.names, self.sizes.tolist(), self.marks.tolist())
        return digest_of_text([f"({', '.join(map(repr, head))}, [", *joined(map(repr, rows)), "])"])

    def check_not_empty(self, endings: Counter[str]) -> None:
        """Count files with endings that are not read.

        Raises:
            DataError: if there are no images.
        """
        for ending, count in sorted(endings.items(), key=lambda item: (-item[1], item[0])):
            self.left_out[ending] = count
        if not self.names:
            others = f", but there are {described(self.left_out)}" if any(self.left_out.values()) else ""
            faults = "".join(f"; {fault}" for fault in self.faults)
            raise DataError(
                f"no images below {self.root} (data.root); looked for {', '.join(sorted(FORMAT_OF_SUFFIX))} at any "
                f"depth{others}{faults}"
            )


class FolderListing(Listing):
    """Image files below a folder; their marks are the times of their last change in ns."""

    def open(self, i: int) -> Image.Image:
        """Open the i-th image without decoding it."""
        return open_raster(self.path(i))

    def content(self, i: int) -> bytes:
        """Return the bytes of the i-th file, none for one that cannot be read."""
        path = self.path(i)
        try:
            return b"" if irregular_kind(path) else path.read_bytes()
        except OSError:
            return b""

    def read_other(self, name: str) -> bytes | None:
        """Return the bytes of a file that is no image; None if it is not there."""
        path = self.root / name
        return path.read_bytes() if path.is_file() else None

    def folders(self) -> list[str]:
        """Return the names of the folders in the folder, and of links to folders, without hidden ones; sorted."""
        return sorted(path.name for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))

    def source(self) -> str:
        """Return an identifier of the files: their paths, sizes and times."""
        return self.digest("folder", DECODER)


def list_images(root: Path) -> FolderListing:
    """List the image files below a folder, at any depth.

    Links to folders are followed, but no folder is listed twice: neither one that a link leads back to, nor one that
    lies below the root anyway. Otherwise an image could be in the training part and held out.

    Raises:
        DataError: if there are none.
    """
    listing, endings = FolderListing(root), Counter[str]()
    names, sizes, times, start = list[str](), list[int](), list[int](), len(os.path.join(root, ""))
    with step(f"listing the images below {root}") as advance:
        for at, name in _files_below(root, listing):
            if is_image(name, listing.left_out, endings):
                size, time, kind = _state(at + name)
                if kind:
                    listing.faults.append(f"{at}{name} is {kind}, not a file")
                    continue
                names.append((at + name)[start:].replace(os.sep, "/"))
                sizes.append(size)
                times.append(time)
                if len(names) % TOLD == 0:
                    advance(TOLD)
    listing.fill(names, sizes, times)
    listing.check_not_empty(endings)
    return listing


def is_image(name: str, left_out: Counter[str], endings: Counter[str]) -> bool:
    """Return whether a file's name is that of an image that is read; otherwise count it as hidden or by its ending."""
    if name.startswith("."):
        left_out["hidden"] += 1
        return False
    dot = name.rfind(".")
    suffix = name[dot:].lower() if 0 < dot < len(name) - 1 else ""
    if suffix in FORMAT_OF_SUFFIX and (suffix != ".avif" or has_avif()):
        return True
    endings[suffix or "without an ending"] += 1
    return False


def described(left_out: Counter[str] | dict[str, int], most: int = 6) -> str:
    """Return numbers with their reasons as text, such as "100 .heic, 2 hidden"; rare ones are summed up."""
    parts = [(count, reason) for reason, count in left_out.items() if count]
    parts, rest = parts[:most], parts[most:]
    texts = [f"{count:,} {reason}" for count, reason in parts]
    return ", ".join([*texts, f"{sum(count for count, _ in rest):,} others"] if rest else texts)


def _state(file: str) -> tuple[int, int, str]:
    """Return size, time of the last change in ns, and what a path is that is no file; zeros for a broken link."""
    try:
        status = os.stat(file)
    except OSError:
        return 0, 0, ""
    return status.st_size, status.st_mtime_ns, kind_of_mode(status.st_mode)


def _files_below(root: Path, listing: Listing) -> Iterator[tuple[str, str]]:
    """Yield folder, with a slash at its end, and name of all files that are not in a hidden folder.

    Real folders come before links to folders.
    """
    seen: set[tuple[int, int]] = set()
    starts, links = [root], list[Path]()
    while starts:
        for folder, names, files in os.walk(starts.pop(0), onerror=lambda fault: _note_fault(fault, listing)):
            at = Path(folder)
            seen.add(_identity(at))
            links += [at / name for name in sorted(names) if (at / name).is_symlink() and not name.startswith(".")]
            names[:] = [n for n in names if not n.startswith(".") and not (at / n).is_symlink()]
            again = [n for n in names if _identity(at / n) in seen]  # of a link to a folder above one that was linked
            listing.left_out[READ_ALREADY] += len(again)
            names[:] = [n for n in names if n not in again]
            yield from ((os.path.join(folder, ""), name) for name in files)
        while links and not starts:
            link = links.pop(0)
            if _identity(link) in seen:
                listing.left_out[READ_ALREADY] += 1
            else:
                starts.append(link)


def _note_fault(error: OSError, listing: Listing) -> None:
    listing.faults.append(f"the folder {error.filename} cannot be read: {error.strerror}")


def _identity(folder: Path) -> tuple[int, int]:
    """Return device and inode, which two paths of one folder share."""
    status = folder.stat()
    return status.st_dev, status.st_ino
