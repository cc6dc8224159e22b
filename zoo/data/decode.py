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
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from zoo.data.pool import Pool
from zoo.errors import DataError
from zoo.io.files import atomic_write, cache_folder, digest_of_values
from zoo.io.progress import step

Box = tuple[int, int, int, int]
"""A rectangle in pixels: left, top, right, bottom."""

OnCorrupt = Literal["raise", "skip"]

WAITING = 64  # decoded images that wait to be written, which bounds the memory at any resolution


def to_square(image: Image.Image, resolution: int, channels: int, crop: Box | None = None) -> NDArray[np.uint8]:
    """Convert an image to a square array.

    The image is turned upright and composited on white, cropped, and resized with Pillow's antialiased bicubic filter,
    the one that FID is least sensitive to (Parmar et al. 2022, arXiv:2104.11222).

    Args:
        image: an image of any size and mode.
        resolution: height and width of the result in pixels.
        channels: 1 for grey, 3 for colour.
        crop: the rectangle to cut out; None for the largest centred square.

    Returns:
        An array (resolution, resolution, channels) of uint8.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":  # 16-bit grey; `convert` would clip it at 255
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if crop is None:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        crop = (left, top, left + side, top + side)
    image = image.crop(crop)
    if image.size != (resolution, resolution):
        image = image.resize((resolution, resolution), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8).reshape(resolution, resolution, channels)


def decode_once(
    open_image: Callable[[int], Image.Image],
    count: int,
    labels: NDArray[np.int64] | None,
    *,
    source: str,
    name_of: Callable[[int], str],
    resolution: int,
    channels: int,
    crop: Box | None = None,
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
        resolution: height and width of the decoded images in pixels.
        channels: 1 for grey, 3 for colour.
        crop: rectangle to cut out of every image; None for the largest centred square.
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
    processing = (count, resolution, channels, crop, on_corrupt, "bicubic 1")
    key = digest_of_values(source, *processing)
    folder = cache_folder() / "images" / key
    if not (folder / "kept.json").exists():
        _decode(folder, open_image, count, name_of, resolution, channels, crop, on_corrupt)
    skipped = set(json.loads((folder / "kept.json").read_text())["skipped"])
    if skipped:
        print(f"{len(skipped)} of {count:,} images could not be decoded and are left out", file=sys.stderr)
    kept = np.array([i for i in range(count) if i not in skipped], dtype=np.int64)
    images = np.load(folder / "images.npy", mmap_mode="r")
    reserved = None if held_out is None else np.flatnonzero(np.isin(kept, held_out))
    labels = None if labels is None else labels[kept]
    identity = key if content_of is None else digest_of_values(_content_digest(folder, content_of, count), *processing)
    digest = digest_of_values(identity, None if labels is None else labels.tobytes())
    return Pool(images, labels, digest, reserved, class_names, None if groups is None else groups[kept])


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
    resolution: int,
    channels: int,
    crop: Box | None,
    on_corrupt: OnCorrupt,
) -> None:
    """Decode all images and write `images.npy` and `kept.json` into `folder`, both or neither.

    The arguments are those of `decode_once`.

    Raises:
        DataError: for a corrupt image under `raise`, or if no image could be decoded.
    """

    def read(i: int) -> NDArray[np.uint8] | str:
        try:
            return to_square(open_image(i), resolution, channels, crop)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # all that Pillow raises
            return f"{name_of(i)}: {error}"

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="decoding-", dir=folder.parent))
    try:
        shape = (count, resolution, resolution, channels)
        images = np.lib.format.open_memmap(scratch / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        skipped: list[int] = []
        for i, result in _in_parallel(read, count, f"decoding {count:,} images once to {resolution} px"):
            if not isinstance(result, str):
                images[i - len(skipped)] = result
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
        (scratch / "kept.json").write_text(json.dumps({"skipped": skipped}))
        try:
            os.rename(scratch, folder)
        except OSError:  # another process was first to finish the same images
            if not (folder / "kept.json").exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _in_parallel(
    read: Callable[[int], NDArray[np.uint8] | str], count: int, title: str
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """Yield index and result of each image in order, read by as many threads as there are cores.

    Threads suffice because Pillow releases the interpreter lock.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads, step(title, count) as advance:
        for first in range(0, count, WAITING):
            span = range(first, min(first + WAITING, count))
            yield from zip(span, threads.map(read, span))
            advance(len(span))
