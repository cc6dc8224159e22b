"""Sizes of image files, and the size at which several folders of images are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from zoo.data.raster import UNDECODABLE, open_raster
from zoo.errors import DataError
from zoo.io.parallel import in_order

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the image files of a folder, from their headers.

    Args:
        sizes: width and height of each file in pixels; (0, 0) for a file that is no image.
    """

    sizes: tuple[Size, ...]

    @property
    def sides(self) -> list[int]:
        """The shorter side of each file in pixels, which is cut out as a square; 0 for a file that is no image."""
        return [min(size) for size in self.sizes]

    @property
    def common_side(self) -> int:
        """The most common shorter side in pixels; the largest of several that are equally common."""
        counts = Counter(side for side in self.sides if side)
        return max(counts, key=lambda side: (counts[side], side))

    def smaller_than(self, resolution: int) -> int:
        """Count the files that are enlarged to reach a resolution in pixels."""
        return sum(0 < side < resolution for side in self.sides)

    def __str__(self) -> str:
        """Describe the sizes: the only one, or the most common one with its count and the range of the others."""
        counts = Counter(size for size in self.sizes if size != (0, 0))
        (common, count), *others = counts.most_common()
        if not others:
            return _text(common)
        small, large = min(counts, key=_area), max(counts, key=_area)
        return (
            f"{len(counts):,} sizes from {_text(small)} to {_text(large)}, mostly {_text(common)} "
            f"({count:,} of {len(self.sizes):,} files)"
        )


def sizes_of(files: Sequence[Path]) -> Sizes:
    """Read the sizes of image files from their headers, without decoding them.

    Raises:
        DataError: if none of the files is an image.
    """
    return sizes_by(lambda i: open_raster(files[i]), len(files), lambda i: str(files[i]))


def sizes_by(open_image: Callable[[int], Image.Image], count: int, name_of: Callable[[int], str]) -> Sizes:
    """Read the sizes of images from the headers of their files, without decoding them.

    Args:
        open_image: function that opens the i-th image, from several threads.
        count: number of images.
        name_of: function that returns the name of the i-th image.

    Raises:
        DataError: if none of them is an image.
    """

    def size(i: int) -> Size:
        try:
            with open_image(i) as image:
                width, height = image.size
                return width, height
        except UNDECODABLE:
            return 0, 0  # decoding says what is wrong with it

    sizes = tuple(size for _, size in in_order(size, count))
    if not any(min(size) for size in sizes):
        raise DataError(f"none of {count:,} files is an image that can be read; the first: {name_of(0)}")
    return Sizes(sizes)


def mixed_sizes_note(name: str, sizes: Sizes, resolution: int) -> str | None:
    """Return what happens to files of several sizes, or to files that must be enlarged; None if nothing does.

    Args:
        name: what the files are, such as `generated images`.
        sizes: their sizes.
        resolution: height and width in pixels at which they are compared.
    """
    smaller = sizes.smaller_than(resolution)
    enlarged = f"{smaller:,} of {len(sizes.sizes):,} are enlarged, which blurs them" if smaller else ""
    if len(set(sizes.sides)) > 1:
        return f"{name}: {sizes}; all are compared at {resolution} px" + (f", and {enlarged}" if enlarged else "")
    return f"{name}: {sizes}; compared at {resolution} px, {enlarged}" if enlarged else None


def _area(size: Size) -> int:
    return size[0] * size[1]


def _text(size: Size) -> str:
    return f"{size[0]} x {size[1]} px"
