"""Features of many images, and the disk cache of real images' features.

The key of a cache entry contains everything that determines its content: the digest of the images (which covers files,
transform and resolution), the chosen images, and the extractor's name and protocol. Entries are written atomically. An
entry contains a digest of its tensors, so a damaged file is detected and computed again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zoo.data.pool import Split, to_float
from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor
from zoo.io.files import atomic_write, cache_folder, digest_of_values
from zoo.io.progress import step
from zoo.training.threads import ThreadsOfLoop

MOST_AT_ONCE = 1024  # images read at once
VALUES_AT_ONCE = 2**24  # values (pixels times channels) read at once: 64 MB as float, and several copies


@dataclass(frozen=True)
class Features:
    """Features and logits of a set of images, on the CPU.

    Args:
        values: features (N, D), float32.
        logits: class logits (N, K), float32; None if the network has no classes.
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
    """Compute features of many images, in batches, with their progress.

    Args:
        extractor: extractor; images are moved to its device.
        images: images (N, C, H, W) in [-1, 1], as one tensor or as an iterable of batches of any sizes.
        total: number of images, for the progress and for the memory of the result; None if it is unknown.
        title: name of the step in the progress; without a title there is none.

    Raises:
        FeatureError: if the extractor does not accept the images, or there are none.
    """
    if isinstance(images, Tensor):
        total, images = len(images), torch.split(images, 1024)
    device = next((p.device for p in extractor.parameters()), None)
    values, logits = _Rows(total), _Rows(total)
    passes = None if total is None else total // extractor.batch_size
    with (
        step(title, total) if title else nullcontext(lambda n: None) as advance,
        ThreadsOfLoop(passes, device) as threads,
    ):
        for part in images:
            for batch in part.split(extractor.batch_size):
                batch_values, batch_logits = extractor.features_and_logits(
                    batch if device is None else batch.to(device)
                )
                values.append(batch_values)
                if batch_logits is not None:
                    logits.append(batch_logits)
                advance(len(batch))
                threads.stepped()
    if not len(values):
        raise FeatureError("there are no images to compute features of")
    result = values.joined()
    if not all(bool(part.isfinite().all()) for part in torch.split(result, MOST_AT_ONCE)):
        raise FeatureError(
            f"some images have features ({extractor.name}) that are not finite: the images hold NaN or infinity"
        )
    return Features(result, logits.joined() if len(logits) else None)


class _Rows:
    """Rows that come in parts, joined without a second copy of all of them where their number is known.

    Args:
        total: number of rows; None if it is unknown.
    """

    def __init__(self, total: int | None) -> None:
        self.total, self.done = total, 0
        self.parts: list[Tensor] = []
        self.filled: Tensor | None = None

    def __len__(self) -> int:
        return self.done

    def append(self, part: Tensor) -> None:
        """Take up the next rows (B, D), on any device."""
        if self.total is None:
            self.parts.append(part.cpu())
        else:
            if self.filled is None:
                self.filled = torch.empty(self.total, *part.shape[1:], dtype=part.dtype)
            self.filled[self.done : self.done + len(part)] = part
        self.done += len(part)

    def joined(self) -> Tensor:
        """Return all rows (N, D) on the CPU."""
        return torch.cat(self.parts) if self.filled is None else self.filled[: self.done]


def cached_features(extractor: Extractor, split: Split, indices: NDArray[np.int64] | None = None) -> Features:
    """Return features of real images, from the cache if it has them.

    Args:
        extractor: extractor of the features.
        split: training or held-out images of a data set.
        indices: indices (N,) of images within the split; None for all, in order.

    Raises:
        FeatureError: if the extractor does not accept the images.
    """
    chosen = np.arange(len(split)) if indices is None else indices
    path = entry_path(extractor, split, chosen)
    return _read_or_compute(path, extractor, lambda: _batches(split, chosen, extractor), len(chosen))


def features_by_digest(extractor: Extractor, images: Callable[[], Iterable[Tensor]], n: int, digest: str) -> Features:
    """Return features of images that belong to no pool, from the cache if it has them.

    Args:
        extractor: extractor of the features.
        images: function that returns batches (B, C, H, W) in [-1, 1]; called only if the cache lacks the features.
        n: number of images.
        digest: digest of all pixels, in order.

    Raises:
        FeatureError: if the extractor does not accept the images.
    """
    key = digest_of_values(digest, n, extractor.name, sorted(extractor.protocol.items()), "features 1")
    return _read_or_compute(cache_folder() / "features" / f"{key}.safetensors", extractor, images, n)


def _read_or_compute(path: Path, extractor: Extractor, images: Callable[[], Iterable[Tensor]], n: int) -> Features:
    """Read a cache entry, or compute and write it."""
    if path.exists():
        cached = _read(path)
        if cached is not None and len(cached) == n:
            extractor.width = extractor.width or cached.values.shape[1]  # that of `pixels` is known from images alone
            return cached
        print(f"note: {path} is damaged; these features are computed again", file=sys.stderr)
    features = features_of(extractor, images(), total=n, title="features of real images")
    try:
        _write(path, features, extractor)
    except (OSError, SafetensorError) as error:  # a full disk: the features are used, the next run computes them again
        print(f"note: cannot keep features in {path}: {error}", file=sys.stderr)
    return features


def entry_path(extractor: Extractor, split: Split, indices: NDArray[np.int64]) -> Path:
    """Return the path of the cache entry for images of a split, by their indices (N,)."""
    rows = np.ascontiguousarray(split.indices[indices], dtype=np.int64)
    key = digest_of_values(
        split.pool.digest,
        split.pool.images.shape,
        hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest(),
        extractor.name,
        sorted(extractor.protocol.items()),
        "features 1",
    )
    return cache_folder() / "features" / f"{key}.safetensors"


def _batches(split: Split, indices: NDArray[np.int64], extractor: Extractor) -> Iterator[Tensor]:
    size = batch_of(extractor, split.pool.images[0].size)
    for first in range(0, len(indices), size):
        yield to_float(split.batch(torch.from_numpy(indices[first : first + size])).images)


def batch_of(extractor: Extractor, values: int) -> int:
    """Return how many images to read at once for an extractor, so that memory does not grow with their size.

    It is a multiple of the extractor's own batch size where that fits, so that large and small reads give the same.

    Args:
        extractor: extractor of the features.
        values: values of one image, channels times pixels.
    """
    size = max(1, min(MOST_AT_ONCE, VALUES_AT_ONCE // values))
    return size - size % extractor.batch_size if size > extractor.batch_size else size


def _write(path: Path, features: Features, extractor: Extractor) -> None:
    tensors = {"values": features.values.contiguous()}
    if features.logits is not None:
        tensors["logits"] = features.logits.contiguous()
    protocol = json.dumps({"extractor": extractor.name, **extractor.protocol})
    with atomic_write(path) as scratch:
        save_file(tensors, scratch, {"digest": _digest(tensors), "protocol": protocol})


def _read(path: Path) -> Features | None:
    """Read a cache entry; return None if it is damaged."""
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
