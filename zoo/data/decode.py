"""Decode images once, into a memory map of uint8 at training resolution.

The key of the memory map is a digest of the source and of everything that is done to an image, so a changed file, size
or crop makes a new one. Of several processes that need the same images, one decodes them and the others wait.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from zoo.data.entry import Decoded, Entry, Outcome
from zoo.data.facts import Facts, facts_of
from zoo.data.pool import Pool
from zoo.data.raster import UNDECODABLE, Range, Storage, deep_values, storage_of, to_levels
from zoo.errors import DataError
from zoo.io.entries import made_by_one
from zoo.io.files import cache_folder, digest_of_values
from zoo.io.parallel import in_order
from zoo.io.progress import duration_text, step
from zoo.io.room import free_bytes, size_text

Box = tuple[int, int, int, int]
"""A rectangle in pixels: left, top, right, bottom."""

OnCorrupt = Literal["raise", "skip"]

TRIED = 128
"""Images that are decoded to see how long all of them take."""
UNDECODED = "that cannot be decoded"
"""Reason for which an image is left out."""
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


@dataclass(frozen=True)
class Rendering:
    """How an image of any size and mode becomes a square array.

    Args:
        resolution: height and width of the result in pixels.
        channels: 1 for grey, 3 for colour.
        crop: the rectangle to cut out; None for the largest centred square.
        value_range: values of files of more than 8 bits that become black and white; None for those that the file
            declares.
        background: colour under transparent pixels, as a name or as "#rrggbb".
    """

    resolution: int
    channels: int
    crop: Box | None = None
    value_range: Range | None = None
    background: str = "white"

    @property
    def key(self) -> tuple[Any, ...]:
        """The settings that were added in later versions, for digests; empty for their defaults."""
        return tuple(
            (name, getattr(self, name))
            for name, default in (("value_range", None), ("background", "white"))
            if getattr(self, name) != default
        )


def to_square(image: Image.Image, resolution: int, channels: int, crop: Box | None = None) -> NDArray[np.uint8]:
    """Convert an image to a square array on white; see `render`."""
    return render(image, Rendering(resolution, channels, crop))[0]


def render(image: Image.Image, rendering: Rendering) -> tuple[NDArray[np.uint8], Facts]:
    """Convert an image to a square array.

    The image is turned upright and composited on the background, cropped, and resized with Pillow's antialiased bicubic
    filter, the one that FID is least sensitive to (Parmar et al. 2022, arXiv:2104.11222).

    Args:
        image: an image of any size and mode.
        rendering: size, channels, crop, and the meaning of values and transparency.

    Returns:
        An array (resolution, resolution, channels) of uint8, and facts about the image.

    Raises:
        DataError: if it is not known which values are black and white.
    """
    square, storage, values = _square_of(image, rendering)
    return square, facts_of(image, storage, values, square, rendering.channels)


def square_of(image: Image.Image, rendering: Rendering) -> NDArray[np.uint8]:
    """Convert an image to a square array as `render` does, without facts about it, which take a third of the time."""
    return _square_of(image, rendering)[0]


def _square_of(
    image: Image.Image, rendering: Rendering
) -> tuple[NDArray[np.uint8], Storage, NDArray[np.generic] | None]:
    """Return the square array, how the file stores values, and the values of a deep image."""
    storage = storage_of(image)
    upright = ImageOps.exif_transpose(image)
    values = deep_values(upright, storage) if storage.is_deep else None
    if values is not None:
        levels = Image.fromarray(to_levels(values, storage, rendering.value_range))
        transparent = upright.info.get("transparency")  # the one transparent value of a grey PNG
        if isinstance(transparent, int):
            levels.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
        upright = levels
    elif storage.has_deep_colours and rendering.value_range is not None:
        raise DataError(
            "it has 16 bits for each colour, of which Pillow reads the upper 8, so data.value_range cannot be applied. "
            "Convert such files to 8 bits or to grey, or leave data.value_range out"
        )
    upright = _on_background(upright, rendering.background).convert("L" if rendering.channels == 1 else "RGB")
    return cut_square(upright, rendering), storage, values


def cut_square(upright: Image.Image, rendering: Rendering) -> NDArray[np.uint8]:
    """Crop and resize an image in grey or in colour to a square array."""
    resolution, crop = rendering.resolution, rendering.crop
    if crop is None:
        side = min(upright.size)
        left, top = (upright.width - side) // 2, (upright.height - side) // 2
        crop = (left, top, left + side, top + side)
    upright = upright.crop(crop)
    if upright.size != (resolution, resolution):
        upright = upright.resize((resolution, resolution), Image.Resampling.BICUBIC)
    return np.asarray(upright, dtype=np.uint8).reshape(resolution, resolution, rendering.channels)


def _on_background(image: Image.Image, background: str) -> Image.Image:
    """Return an image without transparency, and in a mode that Pillow converts to grey and to colour."""
    if image.mode == "La":  # grey multiplied by its opacity, which Pillow converts to nothing but LA
        image = image.convert("LA")
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, ImageColor.getrgb(background)[:3]), image)
    return image.convert("RGB") if image.mode == "LAB" else image


def decode_once(
    open_image: Callable[[int], Image.Image],
    count: int,
    labels: NDArray[np.int64] | None,
    *,
    source: str,
    name_of: Callable[[int], str],
    rendering: Rendering,
    held_out: NDArray[np.int64] | None = None,
    class_names: tuple[str, ...] = (),
    groups: NDArray[np.int64] | None = None,
    on_corrupt: OnCorrupt = "raise",
    content_of: Callable[[int], bytes] | None = None,
    cache: str = "",
) -> Pool:
    """Return a pool of images from the cache, after decoding them with a progress bar if they are not there.

    Args:
        open_image: function that returns the i-th image without decoding it; it is called from several threads.
        count: number of images.
        labels: class indices (count,), or None.
        source: identifier of the files and their state; if it changes, the images are decoded again.
        name_of: function that returns a name of the i-th image for messages, such as its path.
        rendering: size and channels of the decoded images, and how they are converted.
        held_out: indices of the images that the publisher reserves for testing, or None.
        class_names: names of the classes.
        groups: group numbers (count,) of images that stay together in a split, or None.
        on_corrupt: `raise` stops at the first image that cannot be decoded; `skip` leaves out such images and reports
            their number and names.
        content_of: function that returns the bytes of the i-th image's file, or None. It is given if `source` depends
            on the machine, as modification times do. The digest of the pool is then that of the files' contents, which
            are read once, so that a copy of the files has the same digest.
        cache: folder in which the decoded images are kept; empty for the cache folder of `ZOO_CACHE`. Several runs may
            use one folder at once.

    Raises:
        DataError: for a corrupt image under `raise`, or if no image could be decoded.
    """
    entry = entry_of(count, source, rendering, on_corrupt, cache)
    read = _reader(open_image, name_of, rendering, content_of)
    with made_by_one(entry.lock, lambda: entry.is_there, "decodes the same images") as is_ours:
        if is_ours:
            entry.write(read, name_of, on_corrupt == "skip")
    record = entry.record()
    if record["skipped"]:
        print(f"{len(record['skipped'])} of {count:,} images could not be decoded and are left out", file=sys.stderr)
    is_kept = np.ones(count, bool)
    is_kept[record["skipped"]] = False
    kept = np.flatnonzero(is_kept)
    reserved = None if held_out is None else np.flatnonzero(np.isin(kept, held_out))
    labels = None if labels is None else labels[kept]
    identity = entry.folder.name
    if content_of is not None:
        content = entry.content_digest(lambda: _content_digests(content_of, count))
        identity = digest_of_values(content, *_processing(count, rendering, on_corrupt))
    digest = digest_of_values(identity, None if labels is None else labels.tobytes())
    groups = None if groups is None else groups[kept]
    left_out = {UNDECODED: len(record["skipped"])} if record["skipped"] else {}
    facts = Facts.of(record.get("facts"))
    return Pool(entry.images(), labels, digest, reserved, class_names, groups, facts, left_out, kept)


def entry_of(count: int, source: str, rendering: Rendering, on_corrupt: OnCorrupt, cache: str = "") -> Entry:
    """Return the entry of the cache in which images are, or will be; the arguments are those of `decode_once`."""
    key = digest_of_values(source, *_processing(count, rendering, on_corrupt))
    side = rendering.resolution
    return Entry(cache_folder(cache) / "images" / key, (count, side, side, rendering.channels))


def decoding_plan(
    entry: Entry, open_image: Callable[[int], Image.Image], name_of: Callable[[int], str], rendering: Rendering
) -> str:
    """Return what decoding images will take: their number, disk, and time, by decoding some of them.

    Args:
        entry: the entry of the cache, see `entry_of`.
        open_image: function that returns the i-th image without decoding it.
        name_of: function that returns a name of the i-th image for messages.
        rendering: size and channels of the decoded images.

    Raises:
        DataError: for values of unknown range.
    """
    count, side = entry.shape[0], rendering.resolution
    where = entry.folder.parent
    if entry.is_there:
        return f"{count:,} files, decoded to {side} px already in {where}"
    read = _reader(open_image, name_of, rendering, None)
    some = np.linspace(0, count - 1, min(TRIED, count)).astype(int)
    began = time.monotonic()
    for _ in in_order(lambda i: read(int(some[i])), len(some)):
        pass
    seconds = (time.monotonic() - began) / len(some) * count
    return (
        f"{count:,} files, to be decoded once to {side} px: {size_text(entry.size)} in {where}, where "
        f"{size_text(free_bytes(where))} are free, and {duration_text(seconds)} at the speed of {len(some)} of them now"
    )


def _processing(count: int, rendering: Rendering, on_corrupt: OnCorrupt) -> tuple[Any, ...]:
    """Return everything that is done to images and decides what comes of them, for digests."""
    settings = rendering.resolution, rendering.channels, rendering.crop
    return (count, *settings, on_corrupt, "bicubic 1", *rendering.key)


def _content_digests(content_of: Callable[[int], bytes], count: int) -> Iterator[str]:
    """Yield the digest of the content of each file."""
    with step("reading all files once for a digest of their contents", count) as advance:
        for _, digest in in_order(lambda i: _content_digest(content_of(i)), count):
            yield digest
            advance(1)


def _content_digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _reader(
    open_image: Callable[[int], Image.Image],
    name_of: Callable[[int], str],
    rendering: Rendering,
    content_of: Callable[[int], bytes] | None,
) -> Callable[[int], Outcome]:
    """Return a function that decodes the i-th image, or returns name and reason of one that cannot be decoded."""

    def decoded(i: int) -> Decoded | str:
        try:
            return render(open_image(i), rendering)
        except DataError as error:  # a setting is missing, so the image is not left out
            raise DataError(f"{name_of(i)}: {error}") from error
        except UNDECODABLE as error:
            return f"{name_of(i)}: {error}"

    def read(i: int) -> Outcome:
        return Outcome(decoded(i), "" if content_of is None else _content_digest(content_of(i)))

    return read
