"""Images in files, and what the names of the files say: which of them are read, their classes and their groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from zoo.data.decode import OnCorrupt, Rendering, decode_once, decoding_plan, entry_of
from zoo.data.images import Images
from zoo.data.label_table import read_table
from zoo.data.listing import Listing
from zoo.data.patterns import compile_pattern, search
from zoo.data.pool import Pool
from zoo.data.sizes import Sizes, sizes_by
from zoo.errors import DataError, did_you_mean
from zoo.io.files import printable, with_home

PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
"""Names of folders for the parts of a data set, which are no classes."""
UNREADABLE = "pipes, devices or unreadable folders"
"""What lies among the images and is left out, in words that follow a number."""

Labels = tuple[tuple[str, ...], "NDArray[np.int64] | None"]
"""Names of the classes, and the class index of each file (N,)."""


class ImageFiles(Images):
    """All images of a folder or an archive, of any size, cropped to the centred square and resized.

    A source extends this class with `listing`.

    Args:
        root: the folder or the archive.
        resolution: height and width in pixels, to which the images are resized with antialiasing.
        channels: 3 for colour, or 1 to convert to grey.
        labels: whether the images have classes; None for those of `dataset.json` where it has any.
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
        cache: folder in which the decoded images are kept, which several runs may share at once; empty for the cache
            folder of the environment variable ZOO_CACHE.
        images: settings shared by all sources, see `zoo.data.Images`.
    """

    def __init__(
        self,
        root: str,
        *,
        resolution: int,
        channels: int = 3,
        labels: bool | None = None,
        classes: tuple[str, ...] = (),
        match: str = "",
        group: str = "",
        on_corrupt: OnCorrupt = "raise",
        value_range: tuple[float, ...] = (),
        background: str = "white",
        cache: str = "",
        **images: Any,
    ) -> None:
        rendering = checked_rendering(resolution, channels, on_corrupt, value_range, background)
        if len(set(classes)) < len(classes) or (classes and not labels):
            raise ValueError(f"classes are different names of subfolders, with labels=true; got {list(classes)}")
        super().__init__(resolution=resolution, channels=channels, **images)
        self.root, self.labels, self.on_corrupt, self.cache = with_home(root), labels, on_corrupt, cache
        self.classes = tuple(str(name) for name in classes)
        self.rendering = rendering
        self.match, self.group = compile_pattern("data.match", match), compile_pattern("data.group", group)

    def listed(self) -> Listing:
        """List all image files below the root.

        Raises:
            DataError: if there are none.
        """
        raise NotImplementedError

    def remedy_for_parts(self, part: str) -> str:
        """Return how to read one part of a data set, as the beginning of a sentence."""
        raise NotImplementedError

    def read(self) -> Pool:
        """Decode all files, or take them from the cache.

        Raises:
            DataError: if there are no images, labels without subfolders, or a corrupt image.
        """
        listing = self.listing()
        if listing.faults and self.on_corrupt == "raise":
            raise DataError(
                f"{listing.faults[0]}. Repair or remove it, or set data.on_corrupt=skip to leave such images out"
            )
        names, labels = self._labels(listing)
        pool = decode_once(
            listing.open,
            len(listing.names),
            labels,
            groups=self._groups(listing.names) if self.group else None,
            source=listing.source(),
            name_of=lambda i: str(listing.path(i)),
            rendering=self.rendering,
            class_names=names,
            on_corrupt=self.on_corrupt,
            content_of=listing.content,
            cache=self.cache,
        )
        faults = {UNREADABLE: len(listing.faults)} if listing.faults else {}
        counted = {reason: count for reason, count in listing.left_out.items() if count}
        return replace(pool, left_out={**pool.left_out, **faults, **counted})

    def plan(self) -> str:
        """List the images without decoding them, and return what decoding them will take.

        Raises:
            DataError: if there are none.
        """
        listing = self.listing()
        entry = entry_of(len(listing.names), listing.source(), self.rendering, self.on_corrupt, self.cache)
        return decoding_plan(entry, listing.open, lambda i: str(listing.path(i)), self.rendering)

    def files(self) -> list[Path]:
        """Return the paths of the images whose path below the root matches `match`, sorted; see `listing`."""
        listing = self.listing()
        return [listing.path(i) for i in range(len(listing.names))]

    def sizes(self) -> Sizes:
        """Read the sizes of the images from the headers of their files, without decoding them.

        Raises:
            DataError: if there are no images.
        """
        listing = self.listing()
        return sizes_by(listing.open, len(listing.names), lambda i: str(listing.path(i)))

    def listing(self) -> Listing:
        """List the image files below the root whose path matches `match`, and count what is left out.

        Raises:
            DataError: if there is no root, it contains no images, or no path matches.
        """
        listing = self.listed()
        if self.match is not None:
            matches = (match is not None for match in self._search("match", self.match, listing.names))
            kept = np.fromiter(matches, bool, len(listing.names))
            self._check_matched("match", self.match, bool(kept.any()), listing.names)
            listing.keep(kept, "not matched by data.match")
        return listing

    def names(self) -> list[str]:
        """Return the paths below the root of the decoded images, in their order, with forward slashes."""
        kept = self.pool.kept
        listing = self.listing()
        self._labels(listing)  # leaves out files that are in no class, as `read` does
        return listing.names if kept is None else [listing.names[i] for i in kept]

    def found_settings(self) -> dict[str, Any]:
        """Return the classes that were found, for the record of the run."""
        return {"classes": self.class_names} if self.class_names else {}

    # --- classes -----------------------------------------------------------------------------------------------------

    def _labels(self, listing: Listing) -> Labels:
        """Return the classes and the class index of each file; leave out files that are in none.

        Raises:
            DataError: if there are no classes although they are asked for.
        """
        if self.labels is False:
            return (), None
        if not self.classes:
            labels = read_table(listing, self.labels is True, self.match is None)
            if labels is not None or self.labels is None:
                return (), labels
        return self._classes(listing)

    def _classes(self, listing: Listing) -> Labels:
        """Return the classes that subfolders name.

        Raises:
            DataError: if files are in no subfolder, none is in a class, or the subfolders are no classes.
        """
        start = len(listing.prefix)
        if self.classes:
            known = set(self.classes)
            kept = np.fromiter((first_folder(name, start) in known for name in listing.names), bool)
            listing.keep(kept, "not in a folder of data.classes")
            if not listing.names:
                raise DataError(
                    f"data.classes: none of {', '.join(self.classes[:6])} is a folder with images below {self.root}."
                    f"{did_you_mean(self.classes[0], listing.folders())}"
                )
        loose = [name for name in listing.names if not first_folder(name, start)]
        if loose:
            raise DataError(
                f"data.labels=true needs every image in a subfolder that names its class; {len(loose):,} lie directly "
                f"in {self.root}, such as {loose[0][start:]}. Move them, set data.labels=false, or name the subfolders "
                "that are classes: data.classes=[A,B]"
            )
        names = self.classes or tuple(sorted({first_folder(name, start) for name in listing.names}))
        if odd := next((name for name in names if printable(name) != name), None):
            raise DataError(
                f"data.labels=true: the name of the subfolder {odd!r} of {self.root} is not UTF-8, as which a run "
                "records its classes. Rename it, or set data.labels=false"
            )
        if not self.classes and {name.lower() for name in names} <= PARTS:
            raise DataError(
                f"data.labels=true takes the subfolders of {self.root} for classes; they are called "
                f"{' and '.join(names)}, as parts of a data set are. {self.remedy_for_parts(names[0])}, or, if they "
                f"are classes, data.classes=[{','.join(names)}]"
            )
        empty = [] if self.classes else [name for name in listing.folders() if name not in names]
        if empty:
            reason = "folder without images, no class" if len(empty) == 1 else "folders without images, no classes"
            listing.left_out[f"{reason} ({', '.join(empty[:5])})"] = len(empty)
        number = {name: i for i, name in enumerate(names)}
        return names, np.fromiter((number[first_folder(name, start)] for name in listing.names), np.int64)

    # --- patterns ----------------------------------------------------------------------------------------------------

    def _search(self, setting: str, pattern: re.Pattern[str], names: list[str]) -> Iterator[tuple[str, ...] | None]:
        return search(f"data.{setting}", pattern, names)

    def _check_matched(self, setting: str, pattern: re.Pattern[str], any_matched: bool, names: list[str]) -> None:
        """Check that a pattern matches some path.

        Raises:
            DataError: if it matches none.
        """
        if not any_matched:
            raise DataError(
                f"data.{setting}={pattern.pattern!r} matches the path of none of {len(names):,} images below "
                f"{self.root}, such as {names[0]}. Paths are relative to this folder and have "
                f"forward slashes. To go without it, give data.{setting}= with nothing behind it"
            )

    def _groups(self, names: list[str]) -> NDArray[np.int64]:
        """Return the group number of each file (N,), counted from 0 in the order of first appearance.

        Raises:
            DataError: if all files are in one group, or no path matches.
        """
        assert self.group is not None
        number: dict[str | tuple[str, ...], int] = {}
        groups = np.empty(len(names), np.int64)
        any_matched = False
        for i, (name, match) in enumerate(zip(names, self._search("group", self.group, names))):
            any_matched = any_matched or match is not None
            groups[i] = number.setdefault(name if match is None else match, len(number))
        self._check_matched("group", self.group, any_matched, names)
        if len(number) == 1 and len(names) > 1:
            raise DataError(
                f"data.group={self.group.pattern!r} puts all {len(names):,} images into one group, which cannot be "
                "split. Put parentheses around what differs between groups"
            )
        return groups


def first_folder(name: str, start: int = 0) -> str:
    """Return the first folder on a path, from a character on; empty for a file without one."""
    slash = name.find("/", start)
    return name[start:slash] if slash > 0 else ""


def checked_rendering(
    resolution: int, channels: int, on_corrupt: OnCorrupt, value_range: tuple[float, ...], background: str
) -> Rendering:
    """Return how the images of a source are converted, by the settings that sources of files share.

    Args:
        resolution: height and width in pixels.
        channels: 3 for colour, or 1 for grey.
        on_corrupt: `raise` or `skip`, which is only checked.
        value_range: values that become black and white, or empty.
        background: colour under transparent pixels.

    Raises:
        ValueError: for other values.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels of image files are 1 (grey) or 3 (colour); got {channels}")
    if on_corrupt not in ("raise", "skip"):
        raise ValueError(f"on_corrupt is 'raise' or 'skip'; got {on_corrupt!r}")
    return Rendering(resolution, channels, None, checked_range(value_range), checked_colour(background))


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
