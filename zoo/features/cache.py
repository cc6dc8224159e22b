"""Features of images in bulk, and those of real images kept on disk.

A cache entry is keyed by what decides its content: the digest of the images (files, transform and resolution are in
it), which of them, and the extractor's name and protocol. It is written whole or not at all, and holds a digest of
itself, so a damaged file is noticed and made again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zoo.data.pool import Split, to_float
from zoo.errors import FeatureError
from zoo.features.extractor import Extractor
from zoo.io.files import atomic_write, cache_folder, digest_of_values


@dataclass(frozen=True)
class Features:
    """What an extractor makes of a set of images, on the CPU.

    Args:
        values: (N, width) float32.
        logits: (N, K) float32, or None where the network has no classes.
    """

    values: Tensor
    logits: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen: slice | Tensor) -> Features:
        return Features(self.values[chosen], None if self.logits is None else self.logits[chosen])


def features_of(
    extractor: Extractor, images: Tensor | Iterable[Tensor], *, total: int | None = None, title: str = ""
) -> Features:
    """Features of images (N, C, H, W) in [-1, 1], given as one tensor or as an iterable of batches.

    Args:
        extractor: whose device is used; the result is on the CPU.
        images: batches of any sizes; they are passed on in the extractor's own.
        total: how many there are, for the progress bar.
        title: of the progress bar; none is shown without.

    Raises:
        FeatureError: for images that the extractor cannot take, or for none at all.
    """
    if isinstance(images, Tensor):
        total, images = len(images), torch.split(images, 1024)
    device = next((p.device for p in extractor.parameters()), None)
    values, logits = [], []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not title or not sys.stderr.isatty()
    with Progress(*columns, disable=quiet, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        for part in images:
            for batch in part.split(extractor.batch_size):
                found, classes = extractor.features_and_logits(batch if device is None else batch.to(device))
                values.append(found.cpu())
                if classes is not None:
                    logits.append(classes.cpu())
                progress.advance(task, len(batch))
    if not values:
        raise FeatureError("there are no images to take features of")
    result = torch.cat(values)
    if not bool(result.isfinite().all()):
        raise FeatureError(
            f"some images have features ({extractor.name}) that are not finite, so they hold values that are not finite"
        )
    return Features(result, torch.cat(logits) if logits else None)


def cached_features(extractor: Extractor, split: Split, chosen: NDArray[np.int64] | None = None) -> Features:
    """Features of real images, from the cache if they are there.

    Args:
        extractor: what makes them.
        split: a part of a pool.
        chosen: places within the part; None for all of it, in order.

    Raises:
        FeatureError: for images that the extractor cannot take.
    """
    places = np.arange(len(split)) if chosen is None else chosen
    path = entry(extractor, split, places)
    return _kept(path, extractor, lambda: _batches(split, places), len(places))


def features_by_digest(extractor: Extractor, images: Callable[[], Iterable[Tensor]], n: int, digest: str) -> Features:
    """Features of images that are in no pool, from the cache if they are there.

    Args:
        extractor: what makes them.
        images: gives them in batches (B, C, H, W) in [-1, 1]; called only where they are not in the cache.
        n: how many there are.
        digest: of all their pixels and their order.

    Raises:
        FeatureError: for images that the extractor cannot take.
    """
    key = digest_of_values(digest, n, extractor.name, sorted(extractor.protocol.items()), "features 1")
    return _kept(cache_folder() / "features" / f"{key}.safetensors", extractor, images, n)


def _kept(path: Path, extractor: Extractor, images: Callable[[], Iterable[Tensor]], n: int) -> Features:
    """What is in an entry, or what is made for it."""
    if path.exists():
        found = _read(path)
        if found is not None and len(found) == n:
            return found
        print(f"note: {path} is damaged; these features are made again", file=sys.stderr)
    made = features_of(extractor, images(), total=n, title="features of real images")
    try:
        _write(path, made, extractor)
    except OSError as error:  # as on a full disk; the features are there, only the next run pays for them again
        print(f"note: cannot keep features in {path}: {error}", file=sys.stderr)
    return made


def entry(extractor: Extractor, split: Split, places: NDArray[np.int64]) -> Path:
    """The file in which these features are kept."""
    rows = np.ascontiguousarray(split.indices[places], dtype=np.int64)
    key = digest_of_values(
        split.pool.digest,
        split.pool.images.shape,
        hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest(),
        extractor.name,
        sorted(extractor.protocol.items()),
        "features 1",
    )
    return cache_folder() / "features" / f"{key}.safetensors"


def _batches(split: Split, places: NDArray[np.int64]) -> Iterator[Tensor]:
    for first in range(0, len(places), 1024):
        yield to_float(split.batch(torch.from_numpy(places[first : first + 1024])).images)


def _write(path: Path, features: Features, extractor: Extractor) -> None:
    tensors = {"values": features.values.contiguous()}
    if features.logits is not None:
        tensors["logits"] = features.logits.contiguous()
    protocol = json.dumps({"extractor": extractor.name, **extractor.protocol})
    with atomic_write(path) as scratch:
        save_file(tensors, scratch, {"digest": _digest(tensors), "protocol": protocol})


def _read(path: Path) -> Features | None:
    """An entry, or None when it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            digest = (file.metadata() or {}).get("digest")
    except (SafetensorError, OSError, ValueError, KeyError):
        return None
    if digest != _digest(tensors) or "values" not in tensors:
        return None
    return Features(tensors["values"], tensors.get("logits"))


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()
