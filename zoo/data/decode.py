"""Decode images once, to a uint8 memory map at training resolution.

The map is keyed by a digest of the source and of everything done to an image, so a changed file, size or crop makes a
new one. It is written under a temporary name and renamed when complete: a killed decoding leaves no half map behind.
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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from zoo.data.pool import Pool
from zoo.errors import DataError
from zoo.io.files import atomic_write, cache_folder, digest_of_values

Box = tuple[int, int, int, int]
OnCorrupt = Literal["raise", "skip"]


def to_square(image: Image.Image, resolution: int, channels: int, crop: Box | None = None) -> NDArray[np.uint8]:
    """One image as (resolution, resolution, channels) uint8.

    Turned upright, transparency put on white, cut to `crop` (left, top, right, bottom) or to the largest centred
    square, then resized with Pillow's antialiased bicubic filter, the one that FID is least sensitive to (Parmar et
    al. 2022, arXiv:2104.11222).
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
    """The pool of `count` images, from the cache if it is there, otherwise decoded with a progress bar.

    Args:
        open_image: the i-th image, still encoded; called from several threads.
        count: how many there are.
        labels: (count,) or None.
        source: identifies the files and their state; a change of it decodes anew.
        name_of: what to call the i-th image in an error, such as its path.
        resolution: of the result, in pixels.
        channels: 1 or 3.
        crop: box cut from every image instead of the centred square.
        held_out: indices reserved by the publisher.
        class_names: of the labels.
        groups: (count,) or None; which images stay together in a split.
        on_corrupt: `raise` stops at the first image that cannot be decoded; `skip` leaves such images out and says
            how many and which.
        content_of: what the i-th image's file holds. Given where `source` is true of one machine only, as times of
            change are: the pool's digest is then that of the files, read once, and a copy of them has the same.

    Raises:
        DataError: for a corrupt image under `raise`, or when none could be decoded.
    """
    treatment = (count, resolution, channels, crop, on_corrupt, "bicubic 1")
    key = digest_of_values(source, *treatment)
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
    identity = key if content_of is None else digest_of_values(_content(folder, content_of, count), *treatment)
    digest = digest_of_values(identity, None if labels is None else labels.tobytes())
    return Pool(images, labels, digest, reserved, class_names, None if groups is None else groups[kept])


def _content(folder: Path, content_of: Callable[[int], bytes], count: int) -> str:
    """Digest of all files, kept beside the decoded images."""
    path = folder / "content.json"
    if not path.exists():
        with ThreadPoolExecutor(os.cpu_count()) as threads, atomic_write(path) as scratch:
            each = threads.map(lambda i: hashlib.blake2b(content_of(i), digest_size=16).hexdigest(), range(count))
            scratch.write_text(json.dumps(digest_of_values(*each)))
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
    """Write `images.npy` and `kept.json` into `folder`, all or nothing."""

    def read(i: int) -> NDArray[np.uint8] | str:
        try:
            return to_square(open_image(i), resolution, channels, crop)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises
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
        except OSError:  # another process finished the same set first
            if not (folder / "kept.json").exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _in_parallel(
    read: Callable[[int], NDArray[np.uint8] | str], count: int, title: str
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """Results in order, read by as many threads as there are cores (Pillow lets go of the interpreter lock)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = count < 5_000 or not sys.stderr.isatty()  # 5,000 take a few seconds
    with ThreadPoolExecutor(os.cpu_count()) as threads, Progress(*columns, disable=quiet) as progress:
        task = progress.add_task(title, total=count)
        for first in range(0, count, 1024):
            span = range(first, min(first + 1024, count))
            yield from zip(span, threads.map(read, span))
            progress.update(task, completed=span.stop)
