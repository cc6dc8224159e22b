"""Sets that `litdata.optimize` wrote, as images that are reached by their number."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from zoo.data.encoded import EncodedImages, require_package
from zoo.data.samples import Encoded, SampleFacts, Samples, chunk_starts, named_labels
from zoo.errors import DataError
from zoo.io.entries import read_entry
from zoo.io.files import atomic_write, cache_folder, digest_of_values, with_home
from zoo.io.progress import step

PROBED = 16
"""Samples whose content is part of the digest, beside the names and sizes of all chunks."""


class LitData(EncodedImages):
    """Images of a folder that `litdata.optimize` wrote.

    Samples are read by number, which the format of litdata allows. Its own loader is not used: it keeps its position in
    a state that would have to be stored with every checkpoint; here the position follows from the images seen.

    Args:
        root: the folder, with `index.json` and chunks.
        image_key: where a sample, a mapping or a sequence, holds its image: a key, or a number from 0; empty for the
            only image in it.
        label_key: where it holds its class; empty for the only whole number, if there is one, `none` for no labels.
        encoded: settings of `zoo.data.encoded.EncodedImages` and `zoo.data.Images`.
    """

    def __init__(self, *, root: str, image_key: str = "", label_key: str = "", **encoded: Any) -> None:
        super().__init__(**encoded)
        self.root = with_home(root)
        self.image_key, self.label_key = image_key, label_key

    def check_place(self) -> None:
        """Check that the package litdata and the folder are there.

        Raises:
            DataError: if one of them is missing.
        """
        require_package("LitData", "litdata")
        if not (self.root / "index.json").is_file():
            raise DataError(
                f"data.root={self.root}: there is no index.json. Give a folder that litdata.optimize(output_dir=...) "
                "wrote, on a disk of this machine"
            )

    def samples(self) -> Samples:
        """Return the images of the folder.

        Raises:
            DataError: if the package or the folder is missing, or a sample has no image.
        """
        self.check_place()
        return LitSamples(self.root, self.image_key, self.label_key)


class LitSamples(Samples):
    """The images of a folder of chunks.

    Args:
        root: the folder.
        image_key: where a sample holds its image; empty for the only image.
        label_key: where it holds its class; empty for the only whole number, `none` for no labels.

    Raises:
        DataError: if the first sample does not tell which is the image.
    """

    def __init__(self, root: Path, image_key: str, label_key: str) -> None:
        self.root = root
        self._data: tuple[int, Any] = 0, None
        self._lock = Lock()
        index = (root / "index.json").read_text(encoding="utf-8")
        sizes = [(file.name, file.stat().st_size) for file in sorted(root.glob("*.bin"))]
        self.image_key, self.label_key = "", "none"
        count = len(self._opened())
        first = _fields(self._sample(0)) if count else {}
        self.image_key = _chosen("image_key", image_key, first, lambda value: _image_of(value) is not None)
        if label_key != "none":
            self.label_key = _chosen("label_key", label_key, first, _is_whole) or "none"
        super().__init__(count, SampleFacts("", chunk_starts([count])))
        probes = np.unique(np.linspace(0, count - 1, PROBED).astype(int)).tolist() if count else []
        contents = [_image_of(_fields(self._sample(number))[self.image_key]) for number in probes]
        digest = digest_of_values("litdata", index, sizes, [_bytes_of(content) for content in contents])
        labels, class_names = self._labels(digest) if self.label_key != "none" else (None, ())
        self.facts = SampleFacts(digest, self.facts.starts, labels, class_names)

    def read(self, numbers: NDArray[np.int64]) -> Sequence[Encoded]:
        """Return the images with these numbers (n,), which are in ascending order.

        Raises:
            OSError: if a sample holds none.
        """
        result: list[Encoded] = []
        with self._lock:
            for number in numbers.tolist():
                image = _image_of(_fields(self._sample(number)).get(self.image_key))
                if image is None:
                    raise OSError(f"{self.name(number)} holds no image")
                result.append(image)
        return result

    def name(self, number: int) -> str:
        """Return folder and number of a sample."""
        return f"{self.root}, sample {number}"

    def _labels(self, digest: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Return the labels (N,) of all samples, which are read once, and class names."""
        path = cache_folder() / "shards" / f"{digest_of_values(digest, self.label_key)}.npy"
        stored = read_entry(path, np.load)
        if stored is None:
            with step(f"reading {len(self):,} labels", len(self)) as advance:
                texts = []
                for number in range(len(self)):
                    value: Any = _fields(self._sample(number)).get(self.label_key)
                    texts.append(str(value.item() if hasattr(value, "item") else value))
                    advance(1)
            stored = np.array(texts, np.str_)
            with atomic_write(path) as scratch:
                np.save(scratch, stored)
        return named_labels(stored)

    def _sample(self, number: int) -> Any:
        return self._opened()[number]

    def _opened(self) -> Any:
        """Return the set of litdata, opened by this process."""
        if self._data[0] != os.getpid():  # processes that were forked would share the position in its open files
            from litdata import StreamingDataset

            self._data = os.getpid(), StreamingDataset(str(self.root), shuffle=False)
        return self._data[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": (0, None), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())


def _fields(sample: Any) -> dict[str, Any]:
    """Return the values of a sample by key or number; one that is neither mapping nor sequence has the key "0"."""
    if isinstance(sample, dict):
        return {str(key): value for key, value in sample.items()}
    values = list(sample) if isinstance(sample, list | tuple) else [sample]
    return {str(number): value for number, value in enumerate(values)}


def _chosen(setting: str, given: str, fields: dict[str, Any], fits: Any) -> str:
    """Return the key of the value that is meant: the one that is given, or the only one that fits.

    Raises:
        DataError: if the given one is not there, or it cannot be told which is the image.
    """
    known = ", ".join(fields)
    if given:
        if given not in fields:
            raise DataError(f"data.{setting}={given}: a sample has no such value; it has {known}")
        return given
    found = [key for key, value in fields.items() if fits(value)]
    if len(found) != 1 and setting == "image_key":
        which = f"{', '.join(found)} of a sample are images" if found else "no value of a sample is an image"
        raise DataError(f"data.root: {which}. Say which is meant: data.image_key=KEY, one of {known}")
    return found[0] if len(found) == 1 else ""


def _is_whole(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole or (isinstance(value, torch.Tensor) and value.ndim == 0 and not value.is_floating_point())


def _image_of(value: Any) -> Encoded | None:
    """Return a value as an image: the content of a file, a picture of Pillow, or pixels of uint8; None for another."""
    if isinstance(value, bytes | Image.Image):
        return value
    pixels = value.numpy() if isinstance(value, torch.Tensor) and value.dtype == torch.uint8 else value
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        return None
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels))


def _bytes_of(image: Encoded | None) -> bytes:
    if image is None or isinstance(image, bytes):
        return image or b""
    kept = io.BytesIO()
    image.save(kept, "PNG")
    return kept.getvalue()
