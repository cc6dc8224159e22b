"""Images from a folder of files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from zoo.data.decode import OnCorrupt, Rendering, decode_once
from zoo.data.images import Images
from zoo.data.listing import Listing, folders_in, list_images
from zoo.data.patterns import compile_pattern, search
from zoo.data.pool import Pool
from zoo.data.raster import irregular_kind, open_raster
from zoo.errors import DataError, did_you_mean
from zoo.io.files import digest_of_values, with_home

PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
"""Names of folders for the parts of a data set, which are no classes."""
FIRST_ENDINGS = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm")
"""Endings of the files that versions before 0.2.0 read."""
UNREADABLE = "pipes, devices or unreadable folders"
"""What lies among the images and is left out, in words that follow a number."""
DECODER = 2  # part of the name of a cache entry; increased when files are converted to other pixels than before


class Folder(Images):
    """All images below a folder, at any depth and of any size, cropped to the centred square and resized.

    Args:
        root: the folder.
        resolution: height and width in pixels, to which the images are resized with antialiasing.
        channels: 3 for colour, or 1 to convert to grey.
        labels: whether each subfolder of `root` is a class; classes are numbered in alphabetical order.
        classes: names of the subfolders that are classes, in the order of their numbers; empty for all in alphabetical
            order. A run records them, so that its numbers stay when a class is added or its images are missing.
        match: regular expression; only files whose path contains a match are read. Paths are relative to `root`, with
            forward slashes. The empty expression reads all files.
        group: regular expression that puts files into groups, such as the frames of a video or an emoji in several skin
            tones: files whose paths agree in the text of the expression's parentheses (or, without parentheses, of the
            match) are one group. A group is held out together or not at all. Otherwise held-out images would have
            near-copies among the training images, and comparisons with them would be meaningless. A file whose path
            does not match is a group of its own.
        on_corrupt: `raise` for an error at a file that cannot be decoded, or `skip` to leave it out with a message.
        value_range: values that become black and white in grey files of more than 8 bits, such as [0, 4095] for 12 bits
            in a 16-bit file; values beyond are clipped. Empty for those that the file declares: 0 and 65535 for 16
            bits. Floats and 32-bit integers declare none.
        background: colour under transparent pixels: a name, such as black, or #rrggbb.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    def __init__(
        self,
        root: str,
        *,
        resolution: int,
        channels: int = 3,
        labels: bool = False,
        classes: tuple[str, ...] = (),
        match: str = "",
        group: str = "",
        on_corrupt: OnCorrupt = "raise",
        value_range: tuple[float, ...] = (),
        background: str = "white",
        **images: Any,
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels of image files are 1 (grey) or 3 (colour); got {channels}")
        if on_corrupt not in ("raise", "skip"):
            raise ValueError(f"on_corrupt is 'raise' or 'skip'; got {on_corrupt!r}")
        if len(set(classes)) < len(classes) or (classes and not labels):
            raise ValueError(f"classes are different names of subfolders, with labels=true; got {list(classes)}")
        super().__init__(resolution=resolution, channels=channels, **images)
        self.root, self.labels, self.on_corrupt = with_home(root), labels, on_corrupt
        self.classes = tuple(str(name) for name in classes)
        self.rendering = Rendering(resolution, channels, None, checked_range(value_range), checked_colour(background))
        self.match, self.group = compile_pattern("data.match", match), compile_pattern("data.group", group)

    def read(self) -> Pool:
        """Decode all files, or take them from the cache.

        Raises:
            DataError: for a missing or empty folder, labels without subfolders, or a corrupt image.
        """
        listing = self.listing()
        if listing.faults and self.on_corrupt == "raise":
            raise DataError(
                f"{listing.faults[0]}. Repair or remove it, or set data.on_corrupt=skip to leave such images out"
            )
        names, labels = self._classes(listing) if self.labels else ((), None)
        files = listing.files
        state = [(str(file.relative_to(self.root)), *size_and_time(file)) for file in files]
        pool = decode_once(
            lambda i: open_raster(files[i]),
            len(files),
            labels,
            groups=self._groups(files) if self.group else None,
            source=digest_of_values("folder", DECODER, state),
            name_of=lambda i: str(files[i]),
            rendering=self.rendering,
            class_names=names,
            on_corrupt=self.on_corrupt,
            content_of=lambda i: read_bytes(files[i]),
        )
        faults = {UNREADABLE: len(listing.faults)} if listing.faults else {}
        counted = {reason: count for reason, count in listing.left_out.items() if count}
        return replace(pool, left_out={**pool.left_out, **faults, **counted})

    def files(self) -> list[Path]:
        """Return the image files below the root whose path matches `match`, sorted; see `listing`."""
        return self.listing().files

    def listing(self) -> Listing:
        """List the image files below the root whose path matches `match`, and count what is left out.

        Raises:
            DataError: if there is no folder, it contains no images, or no path matches.
        """
        if not self.root.is_dir():
            raise DataError(
                f"there is no folder {self.root} (data.root). Any of these gives images: data.root=FOLDER with images "
                "at any depth; data.class=CIFAR10 (or another set that torchvision downloads) with data.download=true; "
                "data.class=Digits, which needs no files at all"
            )
        listing = list_images(self.root)
        if self.match is not None:
            matches = self._search("match", self.match, listing.files)
            listing.keep([match is not None for match in matches], "not matched by data.match")
        return listing

    def found_settings(self) -> dict[str, Any]:
        """Return the classes that were found, for the record of the run."""
        return {"classes": self.class_names} if self.labels else {}

    def _remedy(self, state_dict: dict[str, Any]) -> str:
        """Return how to read the files that versions before 0.2.0 read, for a checkpoint of one."""
        if "left_out" in state_dict:
            return ""
        return (
            ". Versions before 0.2.0 did not follow links to folders and read fewer endings: where that is the "
            f"difference, data.match='\\.({'|'.join(FIRST_ENDINGS)})$' reads those alone"
        )

    def _classes(self, listing: Listing) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the names of the classes, and the class index of each file (N,); leave out files of other folders.

        Raises:
            DataError: if files are in no subfolder, none is in a class, or the subfolders are no classes.
        """
        if self.classes:
            parts = [file.relative_to(self.root).parts for file in listing.files]
            listing.keep([len(p) > 1 and p[0] in self.classes for p in parts], "not in a folder of data.classes")
            if not listing.files:
                found = folders_in(self.root)
                raise DataError(
                    f"data.classes: none of {', '.join(self.classes[:6])} is a folder with images below {self.root}."
                    f"{did_you_mean(self.classes[0], found)}"
                )
        first = [file.relative_to(self.root).parts for file in listing.files]
        loose = [file for file, parts in zip(listing.files, first) if len(parts) < 2]
        if loose:
            raise DataError(
                f"data.labels=true needs every image in a subfolder that names its class; {len(loose):,} lie directly "
                f"in {self.root}, such as {loose[0].name}. Move them, set data.labels=false, or name the subfolders "
                "that are classes: data.classes=[A,B]"
            )
        names = self.classes or tuple(sorted({parts[0] for parts in first}))
        if not self.classes and {name.lower() for name in names} <= PARTS:
            raise DataError(
                f"data.labels=true takes the subfolders of {self.root} for classes; they are called "
                f"{' and '.join(names)}, as parts of a data set are. Set data.root={self.root / names[0]}, or, if they "
                f"are classes, data.classes=[{','.join(names)}]"
            )
        empty = [] if self.classes else [name for name in folders_in(self.root) if name not in names]
        if empty:
            reason = "folder without images, no class" if len(empty) == 1 else "folders without images, no classes"
            listing.left_out[f"{reason} ({', '.join(empty[:5])})"] = len(empty)
        number = {name: i for i, name in enumerate(names)}
        return names, np.array([number[parts[0]] for parts in first], dtype=np.int64)

    def _relative_path(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()

    def _search(self, setting: str, pattern: re.Pattern[str], files: list[Path]) -> list[tuple[str, ...] | None]:
        """Return what a pattern matches in the path of each file, see `zoo.data.patterns.search`; None for no match.

        Raises:
            DataError: if it matches no path, or the search takes too long.
        """
        matches = search(f"data.{setting}", pattern, [self._relative_path(file) for file in files])
        if all(match is None for match in matches):
            raise DataError(
                f"data.{setting}={pattern.pattern!r} matches the path of none of {len(files):,} images below "
                f"{self.root}, such as {self._relative_path(files[0])}. Paths are relative to this folder and have "
                f"forward slashes. To go without it, give data.{setting}= with nothing behind it"
            )
        return matches

    def _groups(self, files: list[Path]) -> NDArray[np.int64]:
        """Return the group number of each file (N,), counted from 0 in the order of first appearance.

        Raises:
            DataError: if all files are in one group.
        """
        assert self.group is not None
        number: dict[tuple[str, ...], int] = {}
        groups = []
        for file, match in zip(files, self._search("group", self.group, files)):
            key = ("file", self._relative_path(file)) if match is None else ("group", *match)
            groups.append(number.setdefault(key, len(number)))
        if len(number) == 1 and len(files) > 1:
            raise DataError(
                f"data.group={self.group.pattern!r} puts all {len(files):,} images into one group, which cannot be "
                "split. Put parentheses around what differs between groups"
            )
        return np.array(groups, dtype=np.int64)


def checked_range(values: tuple[float, ...]) -> tuple[float, float] | None:
    """Return a range of values, or None for an empty one.

    Raises:
        ValueError: if it is not two numbers in ascending order.
    """
    if not len(values):
        return None
    if len(values) != 2 or not -float("inf") < values[0] < values[1] < float("inf"):
        raise ValueError(f"value_range is the value of black and a larger one of white, [0, 4095]; got {list(values)}")
    return float(values[0]), float(values[1])


def checked_colour(name: str) -> str:
    """Return the name of a colour.

    Raises:
        ValueError: if there is no such colour.
    """
    try:
        ImageColor.getrgb(name)
    except ValueError:
        raise ValueError(f"background is a colour such as black, white or #rrggbb; got {name!r}") from None
    return name


def size_and_time(file: Path) -> tuple[int, int]:
    """Return size in bytes and modification time in ns, by which a change is noticed; zeros for a broken link."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def read_bytes(file: Path) -> bytes:
    """Return the content of a file, empty for one that cannot be read."""
    try:
        return b"" if irregular_kind(file) else file.read_bytes()
    except OSError:
        return b""
