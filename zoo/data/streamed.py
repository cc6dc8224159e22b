"""Images that are decoded as they are read, for sets whose decoded images would fill a disk.

A pool of them is used as any other: only `images` differs. Which images come next is decided by `zoo.data.stream` from
the number of images seen, never by a reader, so readers keep nothing that a resumed run would miss.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.data.decode import UNDECODED, OnCorrupt, Rendering, cut_square, render, square_of
from zoo.data.facts import Facts
from zoo.data.pool import Pool
from zoo.data.raster import UNDECODABLE
from zoo.data.rows import ImageRows
from zoo.data.samples import Encoded, Samples, opened
from zoo.errors import DataError
from zoo.io.entries import read_entry
from zoo.io.files import atomic_write, cache_folder, digest_of_values
from zoo.io.progress import step

LOOKED_AT = 64
"""Images that are decoded at the start, evenly spread: for notes, and to compare both decoders."""
THREADS = 8
"""Largest number of threads that decode a batch in the training process."""
FEW = 8
"""Images for which threads are not worth their start."""
TURNING = (b"Exif\0\0", b"http://ns.adobe.com/xap")
"""What precedes the orientation in a JPEG file, which the quick decoder does not read."""


@dataclass
class Decoder:
    """A function from encoded images to square arrays of the same pixels as those of `zoo.data.decode.render`.

    JPEG files are decoded by torchvision, in less than half of Pillow's time, where that gives the same pixels; all
    others, and damaged ones, by Pillow.

    Args:
        rendering: size and channels, and how images are converted.
        is_quick: whether torchvision is used.
    """

    rendering: Rendering
    is_quick: bool = True

    def __call__(self, encoded: Encoded) -> NDArray[np.uint8]:
        """Return an array (resolution, resolution, channels).

        Raises:
            OSError: if it is no image, and the other errors of `zoo.data.raster.UNDECODABLE`.
        """
        square = self._quickly(encoded) if self.is_quick and isinstance(encoded, bytes) else None
        return square_of(opened(encoded), self.rendering) if square is None else square

    def _quickly(self, content: bytes) -> NDArray[np.uint8] | None:
        """Return the square of a JPEG file, or None for a file that Pillow has to decode."""
        if content[:3] != b"\xff\xd8\xff" or any(mark in content for mark in TURNING):
            return None
        from torchvision.io import decode_jpeg  # imported here because most runs decode nothing

        try:
            pixels = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8)).permute(1, 2, 0).numpy()
        except RuntimeError:
            return None
        channels, resolution = self.rendering.channels, self.rendering.resolution
        if pixels.shape[2] not in (1, channels):  # four inks, or colour that is read in grey
            return None
        if self.rendering.crop is not None or pixels.shape[:2] != (resolution, resolution):
            grey_or_colour = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            pixels = cut_square(grey_or_colour, Rendering(resolution, pixels.shape[2], self.rendering.crop))
        return pixels if pixels.shape[2] == channels else np.repeat(pixels, channels, 2)


class StreamedRows(ImageRows):
    """Images that are read from their source and decoded when they are asked for.

    In the training process a batch is decoded by several threads; a process of a `DataLoader` uses one.

    Args:
        samples: the encoded images.
        decoder: what makes square arrays of them.
        kept: numbers (N,) of the samples that are images of the pool; None for all.
    """

    def __init__(self, samples: Samples, decoder: Decoder, kept: NDArray[np.int64] | None = None) -> None:
        rendering = decoder.rendering
        count = len(samples) if kept is None else len(kept)
        super().__init__((count, rendering.resolution, rendering.resolution, rendering.channels))
        self.samples, self.decoder, self.kept = samples, decoder, kept
        starts = samples.facts.starts
        self.starts = starts if kept is None else np.unique(np.searchsorted(kept, starts))
        self.starts = self.starts[self.starts < count]

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images (n, H, W, C) with these numbers (n,).

        Raises:
            DataError: for an image that cannot be read or decoded.
        """
        numbers = rows if self.kept is None else self.kept[rows]
        order = np.argsort(numbers, kind="stable")
        result = np.empty((len(rows), *self.shape[1:]), np.uint8)
        try:
            encoded = self.samples.read(numbers[order])
        except OSError as error:
            raise DataError(f"images cannot be read: {error}") from error

        def decode(k: int) -> None:
            at = int(order[k])
            result[at] = self._decoded(encoded[k], int(numbers[at]))

        threads = min(THREADS, available_cores())
        if len(rows) > FEW and threads > 1 and torch.utils.data.get_worker_info() is None:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(decode, range(len(rows))))
        else:
            for k in range(len(rows)):
                decode(k)
        return result

    def _decoded(self, encoded: Encoded, number: int) -> NDArray[np.uint8]:
        try:
            return self.decoder(encoded)
        except DataError as error:  # a setting is missing
            raise DataError(f"{self.samples.name(number)}: {error}") from error
        except UNDECODABLE as error:
            raise DataError(
                f"an image cannot be decoded: {self.samples.name(number)}: {error}. Repair or remove it, or set "
                "data.on_corrupt=skip to leave such images out, for which all are decoded once at the start"
            ) from error


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def streamed_pool(
    samples: Samples, rendering: Rendering, on_corrupt: OnCorrupt, held_out: NDArray[np.int64] | None
) -> Pool:
    """Return a pool of images that are decoded as they are read.

    Args:
        samples: the encoded images.
        rendering: size and channels, and how images are converted.
        on_corrupt: `raise` for an error when an image that cannot be decoded is read; `skip` decodes all images once,
            with a progress bar, and leaves out those; which ones is kept in the cache.
        held_out: numbers of the samples that the publisher reserves for testing, or None.

    Raises:
        DataError: if an image that is looked at cannot be decoded, or none can.
    """
    facts = samples.facts
    processing = (len(samples), rendering.resolution, rendering.channels, rendering.crop, *rendering.key)
    key = digest_of_values("stream", facts.digest, on_corrupt, *processing)
    decoder = Decoder(rendering)
    found, kept = Facts(), None
    if on_corrupt == "skip":
        found, kept = _whole_images(samples, rendering, key)
    among = np.arange(len(samples)) if kept is None else kept
    looked_at = among[np.unique(np.linspace(0, len(among) - 1, LOOKED_AT).astype(np.int64))]
    seen, decoder.is_quick = _look(samples, looked_at, decoder)
    labels = facts.labels
    if kept is not None:
        labels = None if labels is None else labels[kept]
        held_out = None if held_out is None else np.flatnonzero(np.isin(kept, held_out))
    lost = 0 if kept is None else len(samples) - len(kept)
    left_out = {**({UNDECODED: lost} if lost else {}), **{why: n for why, n in facts.left_out.items() if n}}
    return Pool(
        StreamedRows(samples, decoder, kept),
        labels,
        digest_of_values(key, None if labels is None else labels.tobytes()),
        held_out,
        facts.class_names,
        facts=found if kept is not None else seen,
        left_out=left_out,
        kept=kept,
    )


def _look(samples: Samples, numbers: NDArray[np.int64], decoder: Decoder) -> tuple[Facts, bool]:
    """Decode some images; return facts about them, and whether the quick decoder gives the same pixels.

    Raises:
        DataError: for an image that cannot be decoded.
    """
    facts, agrees = Facts(), True
    rows = StreamedRows(samples, decoder)
    for number in numbers.tolist():
        decoded = rows.read(np.array([number]))[0]  # its error names the image
        square, own = render(opened(samples.read(np.array([number]))[0]), decoder.rendering)
        facts.add(own)
        agrees = agrees and bool(np.array_equal(square, decoded))
    return facts, agrees


def _whole_images(samples: Samples, rendering: Rendering, key: str) -> tuple[Facts, NDArray[np.int64]]:
    """Return facts about all images that can be decoded, and their numbers, after decoding all or from the cache.

    Raises:
        DataError: if none can be decoded, or a setting is missing.
    """
    path = cache_folder() / "streams" / f"{key}.json"
    record: dict[str, Any] | None = read_entry(path, lambda path: json.loads(path.read_text()))
    if record is None:
        record = _decode_all(samples, rendering)
        with atomic_write(path) as scratch:
            scratch.write_text(json.dumps(record))
    kept = np.setdiff1d(np.arange(len(samples)), np.array(record["skipped"], np.int64))
    if not len(kept):
        raise DataError(f"none of the {len(samples):,} images could be decoded; the first: {samples.name(0)}")
    if record["skipped"]:
        print(
            f"{len(record['skipped'])} of {len(samples):,} images could not be decoded and are left out",
            file=sys.stderr,
        )
    return Facts.of(record["facts"]), kept


def _decode_all(samples: Samples, rendering: Rendering) -> dict[str, Any]:
    """Decode all images once; return the numbers of those that cannot be decoded, and facts about the others."""

    def facts_or_reason(encoded: Encoded) -> Facts | str:
        try:
            return render(opened(encoded), rendering)[1]
        except DataError:
            raise
        except UNDECODABLE as error:
            return str(error)

    skipped, facts = [], Facts()
    title = f"decoding {len(samples):,} images once to find those that cannot be decoded"
    with ThreadPoolExecutor(available_cores()) as threads, step(title, len(samples)) as advance:
        for first in range(0, len(samples), LOOKED_AT):
            numbers = np.arange(first, min(first + LOOKED_AT, len(samples)))
            encoded: Sequence[Encoded] = samples.read(numbers)
            for number, result in zip(numbers.tolist(), threads.map(facts_or_reason, encoded)):
                if isinstance(result, str):
                    print(f"left out: {samples.name(number)}: {result}", file=sys.stderr)
                    skipped.append(number)
                else:
                    facts.add(result)
            advance(len(numbers))
    return {"skipped": skipped, "facts": facts.as_dict()}
