"""scikit-learn's digits in the forms that data sets are passed on in: shards of WebDataset, Parquet, Arrow, LitData.

Each image is unlike all others: its first row holds its number, so that one can tell whether an epoch shows each once.
"""

from __future__ import annotations

import functools
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

SIZE = 16


@functools.cache
def digits() -> Any:
    """Return scikit-learn's digits, read once."""
    return load_digits()


def digit(number: int) -> NDArray[np.uint8]:
    """Return the pixels (16, 16) of a digit, with its number in binary in the first row."""
    images = digits().images
    pixels = np.kron(images[number % len(images)] * 15.9, np.ones((2, 2))).astype(np.uint8)
    pixels[0] = [255 * (number >> bit & 1) for bit in range(SIZE)]
    return pixels


def numbers_of(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the numbers (N,) of digits (N, 16, 16)."""
    return ((pixels[:, 0] > 127) << np.arange(SIZE)).sum(1)


def encoded(count: int) -> Iterator[tuple[bytes, int]]:
    """Yield the PNG file and the class of each of `count` digits."""
    targets = digits().target
    for number in range(count):
        file = io.BytesIO()
        Image.fromarray(digit(number)).save(file, "PNG")
        yield file.getvalue(), int(targets[number % len(targets)])


def write_shards(folder: Path, count: int, each: int) -> str:
    """Write shards `digits-000.tar` and so on with `each` digits; return the pattern that names all."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = -(-count // each)
    samples = encoded(count)
    for shard in range(shards):
        with tarfile.open(folder / f"digits-{shard:03d}.tar", "w") as tar:
            for number in range(shard * each, min((shard + 1) * each, count)):
                content, target = next(samples)
                for ending, data in (("cls", str(target).encode()), ("png", content)):
                    entry = tarfile.TarInfo(f"{number:06d}.{ending}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
    return f"{folder}/digits-{{000..{shards - 1:03d}}}.tar"


def write_saved(folder: Path, count: int) -> str:
    """Write what `save_to_disk` of `datasets` writes; return the folder."""
    import datasets

    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=[f"digit {i}" for i in range(10)])}
    rows = [{"image": {"bytes": content, "path": None}, "label": target} for content, target in encoded(count)]
    datasets.Dataset.from_list(rows, features=datasets.Features(features)).save_to_disk(folder)
    return str(folder)


def write_parquet(folder: Path, count: int, each: int, group: int) -> str:
    """Write Parquet files of `each` digits in row groups of `group`; return the folder."""
    import datasets

    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=[f"digit {i}" for i in range(10)])}
    rows = [{"image": {"bytes": content, "path": None}, "label": target} for content, target in encoded(count)]
    folder.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    for part, first in enumerate(range(0, count, each)):
        chosen = table.select(range(first, min(first + each, count)))
        chosen.to_parquet(folder / f"train-{part:05d}.parquet", batch_size=group)
    return str(folder)
