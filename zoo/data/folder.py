"""Any folder of images."""

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
from zoo.io.files import digest_of_values

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})


class Folder(Images):
    """All images below a folder, at any depth and of any size: cut to the centred square, resized with antialiasing.

    Args:
        root: the folder.
        resolution: in pixels.
        channels: 3, or 1 to make them grey.
        labels: whether each subfolder of `root` is a class, in alphabetical order.
        match: regular expression; only files in whose path it is found are read. Paths are as seen from `root`, with
            forward slashes. Empty reads all.
        group: regular expression; files for whose paths its parentheses (or, without any, the whole of it) hold the
            same text show one thing several times, such as frames of a video or an emoji in several skin tones. They
            go to one side of the split together: else held-out images have near-copies among those trained on, and
            nothing that is compared with them can be believed. A file where it is not found stands for itself.
        on_corrupt: `raise` at a file that cannot be decoded, or `skip` it and say so.
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
        self.root, self.labels, self.on_corrupt = Path(root).expanduser(), labels, on_corrupt
        self.match, self.group = expression("match", match), expression("group", group)

    def read(self) -> Pool:
        """Decode all files once.

        Raises:
            DataError: for a missing or empty folder, labels without subfolders, or a corrupt image.
        """
        files = self.files()
        names: tuple[str, ...] = ()
        labels = None
        if self.labels:
            owners = [file.relative_to(self.root).parts for file in files]
            loose = [file for file, parts in zip(files, owners) if len(parts) < 2]
            if loose:
                raise DataError(
                    f"data.labels=true needs every image in a subfolder that names its class; {len(loose):,} lie "
                    f"directly in {self.root}, such as {loose[0].name}. Move them, or set data.labels=false"
                )
            names = tuple(sorted({parts[0] for parts in owners}))
            number = {name: i for i, name in enumerate(names)}
            labels = np.array([number[parts[0]] for parts in owners], dtype=np.int64)
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
            content_of=lambda i: bytes_of(files[i]),
        )

    def files(self) -> list[Path]:
        """All image files below the root that `match` lets through, sorted; links to folders are not followed."""
        if not self.root.is_dir():
            raise DataError(
                f"there is no folder {self.root} (data.root). Any of these gives images: data.root=FOLDER with images "
                "at any depth; data.class=CIFAR10 (or another set that torchvision downloads) with data.download=true; "
                "data.class=Digits, which needs no files at all"
            )
        found = [
            Path(place) / name
            for place, _, names in os.walk(self.root, followlinks=False)
            for name in names
            if Path(name).suffix.lower() in SUFFIXES and not _hidden(Path(place, name).relative_to(self.root))
        ]
        if not found:
            raise DataError(
                f"no images below {self.root} (data.root); looked for {', '.join(sorted(SUFFIXES))} at any depth"
            )
        found.sort()
        if self.match is None:
            return found
        return [file for file, where in zip(found, self._search("match", self.match, found)) if where]

    def _name(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()

    def _search(self, setting: str, pattern: re.Pattern[str], files: list[Path]) -> list[re.Match[str] | None]:
        """Where an expression is found in each file's path.

        Raises:
            DataError: when it is found in none.
        """
        found = [pattern.search(self._name(file)) for file in files]
        if not any(found):
            raise DataError(
                f"data.{setting}={pattern.pattern!r} is found in the path of none of {len(files):,} images below "
                f"{self.root}, such as {self._name(files[0])}. Paths are as seen from there, with forward slashes"
            )
        return found

    def _groups(self, files: list[Path]) -> NDArray[np.int64]:
        """Which group each file belongs to, (N,), counted from 0 in the order of first appearance."""
        assert self.group is not None
        number: dict[tuple[str, ...], int] = {}
        groups = []
        for file, found in zip(files, self._search("group", self.group, files)):
            parts = (self._name(file),) if found is None else found.groups(default="") or (found[0],)
            key = ("alone" if found is None else "together", *parts)
            groups.append(number.setdefault(key, len(number)))
        if len(number) == 1 and len(files) > 1:
            raise DataError(
                f"data.group={self.group.pattern!r} puts all {len(files):,} images into one group, which cannot be "
                "split. Put parentheses around what differs between groups"
            )
        return np.array(groups, dtype=np.int64)


def expression(name: str, pattern: str) -> re.Pattern[str] | None:
    """A setting that is a regular expression; None where it is empty.

    Raises:
        ValueError: for one that cannot be read.
    """
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise ValueError(f"data.{name} is a regular expression; {pattern!r} is none: {error}") from None


def size_and_time(file: Path) -> tuple[int, int]:
    """What tells a changed file from an unchanged one; zeros for a link that leads nowhere."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def bytes_of(file: Path) -> bytes:
    """What a file holds; nothing for one that cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
