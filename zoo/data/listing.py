"""The image files below a folder, and what is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zoo.data.raster import FORMAT_OF_SUFFIX, has_avif, irregular_kind
from zoo.errors import DataError

READ_ALREADY = "links to folders that are read already"


@dataclass
class Listing:
    """The image files below a folder.

    Args:
        root: the folder.
        files: paths of the image files, sorted.
        left_out: numbers of the other files, by the reason, in words that follow a number.
        faults: what lies among the images and cannot be read, with the reason: folders, pipes, devices.
    """

    root: Path
    files: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def relative(self, file: Path) -> str:
        """Return the path of a file below the root, with forward slashes."""
        return file.relative_to(self.root).as_posix()

    def keep(self, kept: list[bool], reason: str) -> None:
        """Leave out the files for which `kept` is false."""
        self.left_out[reason] += len(kept) - sum(kept)
        self.files = [file for file, is_kept in zip(self.files, kept) if is_kept]


def list_images(root: Path) -> Listing:
    """List the image files below a folder, at any depth.

    Links to folders are followed, but no folder is listed twice: neither one that a link leads back to, nor one that
    lies below the root anyway. Otherwise an image could be in the training part and held out.

    Raises:
        DataError: if there are none.
    """
    listing, endings = Listing(root), Counter[str]()
    unread = frozenset() if has_avif() else frozenset({".avif"})
    for file in _files_below(root, listing):
        suffix = file.suffix.lower()
        if file.name.startswith("."):
            listing.left_out["hidden"] += 1
        elif suffix in FORMAT_OF_SUFFIX and suffix not in unread:
            if kind := irregular_kind(file):
                listing.faults.append(f"{file} is {kind}, not a file")
            else:
                listing.files.append(file)
        else:
            endings[suffix or "without an ending"] += 1
    for ending, count in sorted(endings.items(), key=lambda item: (-item[1], item[0])):
        listing.left_out[ending] = count
    if not listing.files:
        others = f", but there are {described(listing.left_out)}" if listing.left_out else ""
        faults = "".join(f"; {fault}" for fault in listing.faults)
        raise DataError(
            f"no images below {root} (data.root); looked for {', '.join(sorted(FORMAT_OF_SUFFIX))} at any depth"
            f"{others}{faults}"
        )
    listing.files.sort()
    return listing


def described(left_out: Counter[str] | dict[str, int], most: int = 6) -> str:
    """Return numbers with their reasons as text, such as "100 .heic, 2 hidden"; rare ones are summed up."""
    parts = [(count, reason) for reason, count in left_out.items() if count]
    parts, rest = parts[:most], parts[most:]
    texts = [f"{count:,} {reason}" for count, reason in parts]
    return ", ".join([*texts, f"{sum(count for count, _ in rest):,} others"] if rest else texts)


def folders_in(root: Path) -> list[str]:
    """Return the names of the folders in a folder, and of links to folders, without hidden ones; sorted."""
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files_below(root: Path, listing: Listing) -> Iterator[Path]:
    """Yield all files that are not in a hidden folder; real folders come before links to folders."""
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
            yield from (at / name for name in files)
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
