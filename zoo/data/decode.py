"""Decode images once, into a memory map of uint8 at training resolution.

The key of the memory map is a digest of the source and of everything that is done to an image, so a changed file, size
or crop makes a new one. It is written in a temporary folder that is renamed when complete, so decoding that was killed
leaves no incomplete map behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

from zoo.data.facts import Facts, facts_of
from zoo.data.pool import Pool
from zoo.data.raster import Range, Storage, deep_values, storage_of, to_levels
from zoo.errors import DataError
from zoo.io.files import atomic_write, cache_folder, digest_of_values
from zoo.io.progress import step
from zoo.io.room import mapped_array
from zoo.io.scratch import scratch_mark

Box = tuple[int, int, int, int]
"""A rectangle in pixels: left, top, right, bottom."""

OnCorrupt = Literal["raise", "skip"]

Decoded = tuple[NDArray[np.uint8], Facts]
"""A square array (resolution, resolution, channels), and facts about its image."""

UNDECODED = "that cannot be decoded"
"""Reason for which an image is left out."""
WAITING, WAITING_BYTES = 64, 2**27
"""Largest number of decoded images that wait to be written, and of their bytes: a bound on memory at any resolution."""


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
        upright = Image.fromarray(to_levels(values, storage, rendering.value_range))
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

    Raises:
        DataError: for a corrupt image under `raise`, or if no image could be decoded.
    """
    settings = rendering.resolution, rendering.channels, rendering.crop
    processing = (count, *settings, on_corrupt, "bicubic 1", *rendering.key)
    key = digest_of_values(source, *processing)
    folder = cache_folder() / "images" / key
    if not (folder / "kept.json").exists():
        _decode(folder, open_image, count, name_of, rendering, on_corrupt)
    record = json.loads((folder / "kept.json").read_text())
    skipped = set(record["skipped"])
    if skipped:
        print(f"{len(skipped)} of {count:,} images could not be decoded and are left out", file=sys.stderr)
    kept = np.array([i for i in range(count) if i not in skipped], dtype=np.int64)
    images = np.load(folder / "images.npy", mmap_mode="r")
    reserved = None if held_out is None else np.flatnonzero(np.isin(kept, held_out))
    labels = None if labels is None else labels[kept]
    identity = key if content_of is None else digest_of_values(_content_digest(folder, content_of, count), *processing)
    digest = digest_of_values(identity, None if labels is None else labels.tobytes())
    groups = None if groups is None else groups[kept]
    left_out = {UNDECODED: len(skipped)} if skipped else {}
    return Pool(images, labels, digest, reserved, class_names, groups, Facts.of(record.get("facts")), left_out, kept)


def _content_digest(folder: Path, content_of: Callable[[int], bytes], count: int) -> str:
    """Return the digest of the contents of all files, which is stored beside the decoded images."""
    path = folder / "content.json"
    if not path.exists():
        with ThreadPoolExecutor(os.cpu_count()) as threads, atomic_write(path) as scratch:
            digests = threads.map(lambda i: hashlib.blake2b(content_of(i), digest_size=16).hexdigest(), range(count))
            scratch.write_text(json.dumps(digest_of_values(*digests)))
    return str(json.loads(path.read_text()))


def _decode(
    folder: Path,
    open_image: Callable[[int], Image.Image],
    count: int,
    name_of: Callable[[int], str],
    rendering: Rendering,
    on_corrupt: OnCorrupt,
) -> None:
    """Decode all images and write `images.npy` and `kept.json` into `folder`, both or neither.

    The arguments are those of `decode_once`.

    Raises:
        DataError: for a corrupt image under `raise`, if no image could be decoded, or for values of unknown range.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"decoding-{scratch_mark()}-", dir=folder.parent))
    try:
        shape = (count, rendering.resolution, rendering.resolution, rendering.channels)
        images = mapped_array(scratch / "images.npy", shape, np.uint8)
        skipped: list[int] = []
        facts = Facts()
        title = f"decoding {count:,} images once to {rendering.resolution} px"
        waiting = max(1, min(WAITING, WAITING_BYTES // images[0].nbytes))
        for i, result in _in_parallel(_reader(open_image, name_of, rendering), count, waiting, title):
            # Mapped anew from time to time, so that what is written leaves the memory of the process.
            images = images if i % waiting else np.load(scratch / "images.npy", mmap_mode="r+")
            if not isinstance(result, str):
                images[i - len(skipped)], own_facts = result
                facts.add(own_facts)
                continue
            if on_corrupt == "raise":
                raise DataError(
                    f"an image cannot be decoded: {result}. Repair or remove it, or set data.on_corrupt=skip to leave "
                    "such images out"
                )
            print(f"left out: {result}", file=sys.stderr)
            skipped.append(i)
        if len(skipped) == count:
            raise DataError(f"none of the {count:,} images could be decoded; the first: {name_of(0)}")
        images.flush()
        if skipped:
            np.save(scratch / "kept.npy", images[: count - len(skipped)])
            os.replace(scratch / "kept.npy", scratch / "images.npy")
        (scratch / "kept.json").write_text(json.dumps({"skipped": skipped, "facts": facts.as_dict()}))
        try:
            os.rename(scratch, folder)
        except OSError:  # another process was first to finish the same images
            if not (folder / "kept.json").exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _reader(
    open_image: Callable[[int], Image.Image], name_of: Callable[[int], str], rendering: Rendering
) -> Callable[[int], Decoded | str]:
    """Return a function that decodes the i-th image, or returns name and reason of one that cannot be decoded."""

    def read(i: int) -> Decoded | str:
        try:
            return render(open_image(i), rendering)
        except DataError as error:  # a setting is missing, so the image is not left out
            raise DataError(f"{name_of(i)}: {error}") from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # all that Pillow raises
            return f"{name_of(i)}: {error}"

    return read


def _in_parallel(
    read: Callable[[int], Decoded | str], count: int, waiting: int, title: str
) -> Iterator[tuple[int, Decoded | str]]:
    """Yield index and result of each image in order, `waiting` at a time, read by as many threads as there are cores.

    Threads suffice because Pillow releases the interpreter lock.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads, step(title, count) as advance:
        for first in range(0, count, waiting):
            span = range(first, min(first + waiting, count))
            yield from zip(span, threads.map(read, span))
            advance(len(span))
