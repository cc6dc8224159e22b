"""Images from a folder of files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.decode import OnCorrupt, decode_once
from zoo.data.images import Images
from zoo.data.pool import Pool
from zoo.errors import DataError
from zoo.io.files import digest_of_values, with_home

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})


class Folder(Images):
    """All images below a folder, at any depth and of any size, cropped to the centred square and resized.

    Args:
        root: the folder.
        resolution: height and width in pixels, to which the images are resized with antialiasing.
        channels: 3 for colour, or 1 to convert to grey.
        labels: whether each subfolder of `root` is a class; classes are numbered in alphabetical order.
        match: regular expression; only files whose path contains a match are read. Paths are relative to `root`, with
            forward slashes. The empty expression reads all files.
        group: regular expression that puts files into groups, such as the frames of a video or an emoji in several skin
            tones: files whose paths agree in the text of the expression's parentheses (or, without parentheses, of the
            match) are one group. A group is held out together or not at all. Otherwise held-out images would have
            near-copies among the training images, and comparisons with them would be meaningless. A file whose path
            does not match is a group of its own.
        on_corrupt: `raise` for an error at a file that cannot be decoded, or `skip` to leave it out with a message.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    def __init__(
        self,
        root: str,
        *,
        resolution: int,
        channels: int = 3,
        labels: bool = False,
        match: str = "",
        group: str = "",
        on_corrupt: OnCorrupt = "raise",
        **images: Any,
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels of image files are 1 (grey) or 3 (colour); got {channels}")
        if on_corrupt not in ("raise", "skip"):
            raise ValueError(f"on_corrupt is 'raise' or 'skip'; got {on_corrupt!r}")
        super().__init__(resolution=resolution, channels=channels, **images)
        self.root, self.labels, self.on_corrupt = with_home(root), labels, on_corrupt
        self.match, self.group = compile_pattern("match", match), compile_pattern("group", group)

    def read(self) -> Pool:
        """Decode all files, or take them from the cache.

        Raises:
            DataError: for a missing or empty folder, labels without subfolders, or a corrupt image.
        """
        files = self.files()
        names: tuple[str, ...] = ()
        labels = None
        if self.labels:
            relative = [file.relative_to(self.root).parts for file in files]
            unlabelled = [file for file, parts in zip(files, relative) if len(parts) < 2]
            if unlabelled:
                raise DataError(
                    f"data.labels=true needs every image in a subfolder that names its class; {len(unlabelled):,} lie "
                    f"directly in {self.root}, such as {unlabelled[0].name}. Move them, or set data.labels=false"
                )
            names = tuple(sorted({parts[0] for parts in relative}))
            number = {name: i for i, name in enumerate(names)}
            labels = np.array([number[parts[0]] for parts in relative], dtype=np.int64)
        state = [(str(file.relative_to(self.root)), *size_and_time(file)) for file in files]
        return decode_once(
            lambda i: Image.open(files[i]),
            len(files),
            labels,
            groups=self._groups(files) if self.group else None,
            source=digest_of_values("folder", state),
            name_of=lambda i: str(files[i]),
            resolution=self.resolution,
            channels=self.channels,
            class_names=names,
            on_corrupt=self.on_corrupt,
            content_of=lambda i: read_bytes(files[i]),
        )

    def files(self) -> list[Path]:
        """Return the image files below the root whose path matches `match`, sorted; links to folders are not followed.

        Raises:
            DataError: if there is no folder, it contains no images, or no path matches.
        """
        if not self.root.is_dir():
            raise DataError(
                f"there is no folder {self.root} (data.root). Any of these gives images: data.root=FOLDER with images "
                "at any depth; data.class=CIFAR10 (or another set that torchvision downloads) with data.download=true; "
                "data.class=Digits, which needs no files at all"
            )
        files = [
            Path(folder) / name
            for folder, _, names in os.walk(self.root, followlinks=False)
            for name in names
            if Path(name).suffix.lower() in SUFFIXES and not _is_hidden(Path(folder, name).relative_to(self.root))
        ]
        if not files:
            raise DataError(
                f"no images below {self.root} (data.root); looked for {', '.join(sorted(SUFFIXES))} at any depth"
            )
        files.sort()
        if self.match is None:
            return files
        return [file for file, match in zip(files, self._search("match", self.match, files)) if match]

    def _relative_path(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()

    def _search(self, setting: str, pattern: re.Pattern[str], files: list[Path]) -> list[re.Match[str] | None]:
        """Return the match of a pattern in the path of each file, None where there is none.

        Raises:
            DataError: if it matches no path.
        """
        matches = [pattern.search(self._relative_path(file)) for file in files]
        if not any(matches):
            raise DataError(
                f"data.{setting}={pattern.pattern!r} matches the path of none of {len(files):,} images below "
                f"{self.root}, such as {self._relative_path(files[0])}. Paths are relative to this folder and have "
                "forward slashes"
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
            parts = (self._relative_path(file),) if match is None else match.groups(default="") or (match[0],)
            key = ("file" if match is None else "group", *parts)
            groups.append(number.setdefault(key, len(number)))
        if len(number) == 1 and len(files) > 1:
            raise DataError(
                f"data.group={self.group.pattern!r} puts all {len(files):,} images into one group, which cannot be "
                "split. Put parentheses around what differs between groups"
            )
        return np.array(groups, dtype=np.int64)


def compile_pattern(name: str, pattern: str) -> re.Pattern[str] | None:
    """Compile the regular expression of a setting; return None if it is empty.

    Raises:
        ValueError: if it is not a valid expression.
    """
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise ValueError(f"data.{name} is a regular expression; {pattern!r} is none: {error}") from None


def size_and_time(file: Path) -> tuple[int, int]:
    """Return size in bytes and modification time in ns, by which a change is noticed; zeros for a broken link."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def read_bytes(file: Path) -> bytes:
    """Return the content of a file, empty for a file that cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
