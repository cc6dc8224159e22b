"""What the files of a folder or an archive are: sizes, shapes, colour, transparency, classes, and what is left out.

All files are opened for their headers, some are decoded. The report on the data and the plan of a run are made of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.data.decode import ALPHA_MODES
from zoo.data.facts import is_coloured
from zoo.data.image_files import PARTS, UNREADABLE, ImageFiles, first_folder
from zoo.data.listing import Listing
from zoo.data.raster import UNDECODABLE
from zoo.errors import DataError, first_line
from zoo.io.parallel import in_order
from zoo.io.progress import step

DECODED = 256
"""Files that are decoded to see whether there is any colour."""
NAMED = 50
"""Files that cannot be read and are named."""
RESOLUTIONS = 32, 64, 128, 256
"""Resolutions that are offered."""
ENLARGED = 0.1
"""Largest share of images that are enlarged to a resolution."""
LONG = 1.34
"""Ratio of the longer side to the shorter one from which a square cuts off more than a quarter of the image."""


@dataclass(frozen=True)
class Survey:
    """Facts about the files of a source, before they are resized.

    Args:
        names: paths of the files below the root, with forward slashes.
        sizes: width and height (N, 2) of each file in pixels; 0 for a file that is no image.
        transparent: number of files with an alpha channel or a transparent colour.
        coloured: share of images in colour, of those that were decoded.
        decoded: number of images that were decoded to see their colour.
        folders: number of files in each folder directly below the root; under "" those in the root itself.
        left_out: numbers of files that are not read, by the reason, in words that follow a number.
        unreadable: name and reason of files that cannot be read, at most `NAMED`.
        num_unreadable: number of all of them.
    """

    names: list[str]
    sizes: NDArray[np.int64]
    transparent: int
    coloured: float
    decoded: int
    folders: Mapping[str, int]
    left_out: Mapping[str, int]
    unreadable: tuple[str, ...]
    num_unreadable: int

    @property
    def count(self) -> int:
        """Number of images that can be read, as far as their headers tell."""
        return len(self.names) - self.num_unreadable

    @property
    def sides(self) -> NDArray[np.int64]:
        """Shorter sides (M,) of the images in pixels, of which squares are cut."""
        sides: NDArray[np.int64] = self.sizes.min(1)
        return np.asarray(sides[sides > 0])

    @property
    def ratios(self) -> NDArray[np.float64]:
        """Ratios (M,) of the longer side of each image to the shorter one."""
        readable = self.sizes[self.sizes.min(1) > 0]
        ratios: NDArray[np.float64] = readable.max(1) / readable.min(1)
        return ratios

    @property
    def long_share(self) -> float:
        """Share of the images of which a square cuts off more than a quarter."""
        return float((self.ratios > LONG).mean())

    @property
    def is_grey(self) -> bool:
        """Whether no image that was decoded has colour."""
        return self.coloured == 0

    @property
    def class_sizes(self) -> dict[str, int]:
        """Numbers of files in the subfolders, if these may be classes: several, no parts of a set, no loose file."""
        names = set(self.folders)
        if len(names) < 2 or "" in names or {name.lower() for name in names} <= PARTS:
            return {}
        return dict(self.folders)

    def share_below(self, resolution: int) -> float:
        """Return the share of images that are enlarged to reach a resolution in pixels."""
        return float((self.sides < resolution).mean())


def fitting_resolution(found: Survey, most: int = RESOLUTIONS[-1]) -> int:
    """Return the largest power of two in pixels to which at most a tenth of the images are enlarged, from 32 on.

    Args:
        found: the images.
        most: largest resolution to return.
    """
    fitting = [side for side in RESOLUTIONS if side <= most and found.share_below(side) <= ENLARGED]
    return max(fitting, default=RESOLUTIONS[0])


@dataclass(frozen=True)
class Header:
    """What the header of a file says.

    Args:
        size: width and height in pixels; zeros if the file cannot be read.
        is_transparent: whether it has an alpha channel or a transparent colour.
        fault: why it cannot be read, or nothing.
    """

    size: tuple[int, int]
    is_transparent: bool = False
    fault: str = ""


def survey(source: ImageFiles) -> Survey:
    """Look at the files of a source.

    Raises:
        DataError: if there are none, or none can be read.
    """
    listing = source.listing()
    headers = []
    with step(f"reading the sizes of {len(listing.names):,} images", len(listing.names)) as advance:
        for _, header in in_order(lambda i: _header(listing, i), len(listing.names)):
            headers.append(header)
            advance(1)
    faults = [f"{listing.names[i]}: {header.fault}" for i, header in enumerate(headers) if header.fault]
    if len(faults) == len(headers):
        raise DataError(f"none of the {len(headers):,} files below {source.root} can be read; the first: {faults[0]}")
    readable = [i for i, header in enumerate(headers) if not header.fault]
    colours = _colours(listing, readable)
    start = len(listing.prefix)
    left_out = {reason: count for reason, count in listing.left_out.items() if count}
    if listing.faults:
        left_out[UNREADABLE] = len(listing.faults)
    return Survey(
        names=listing.names,
        sizes=np.array([header.size for header in headers], np.int64),
        transparent=sum(header.is_transparent for header in headers),
        coloured=float(np.mean(colours)) if colours else 0.0,
        decoded=len(colours),
        folders=dict(sorted(Counter(first_folder(name, start) for name in listing.names).items())),
        left_out=left_out,
        unreadable=tuple([*faults, *listing.faults][:NAMED]),
        num_unreadable=len(faults),
    )


def _header(listing: Listing, i: int) -> Header:
    """Read the header of the i-th file."""
    try:
        with listing.open(i) as image:
            is_transparent = image.mode in ALPHA_MODES or "transparency" in image.info
            return Header((image.width, image.height), is_transparent)
    except UNDECODABLE as error:
        return Header((0, 0), fault=first_line(error))


def _colours(listing: Listing, readable: list[int]) -> list[bool]:
    """Return for some images, spread over all, whether they have colour; images that cannot be decoded are skipped."""
    some = [readable[i] for i in np.linspace(0, len(readable) - 1, min(DECODED, len(readable))).astype(int)]

    def coloured(i: int) -> bool | None:
        try:
            with listing.open(some[i]) as image:
                return is_coloured(image)
        except UNDECODABLE:
            return None

    return [each for _, each in in_order(coloured, len(some)) if each is not None]
