"""Fixed inputs of all readings: the same latents and images, so that signals change only if the networks change."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data import Images, Split
from zoo.data.pool import to_float
from zoo.gan import GAN
from zoo.sampling.protocol import in_dtype_of
from zoo.training.batch import Batch
from zoo.training.seeding import derive_seed, seeded

CLASSES = 2
"""Number of classes among the fixed images of a conditional model. With more, few images would share a class, and only
images of one class become alike in a collapse."""


class FixedInputs:
    """Fixed latents, training images and held-out images.

    Without a data module of zoo.data, the training images are those of the first batch, and there are no held-out ones.

    Args:
        model: the monitored model.
        data: the data module; ignored unless it is one of zoo.data.
        n: number of latents, and of images of each kind, in a quick reading.
        many: number of latents, and of images of each kind, in a full reading.
    """

    def __init__(self, model: GAN, data: Any, n: int, many: int) -> None:
        self.n, self.many = n, many
        self.images: Tensor | None = None  # of the first batch, if there is no data module
        self.labels: Tensor | None = None
        self._data = data if isinstance(data, Images) else None
        self._cache: dict[tuple[str, int, int], Batch] = {}  # by split, number and resolution
        self._seed = derive_seed("alarms", model.seed)
        with seeded(self._seed, model.device):
            self.latents = model.sample_latent(many)
            self.classes = model.sample_labels(many)

    def missing(self, model: GAN) -> bool:
        """Check whether there are fewer than two real images of the model's current resolution."""
        if self._data is not None:
            return len(self._data.train) < 2
        return (
            self.images is None or len(self.images) < 2 or self.images.shape[-1] < model.data_resolution(model.progress)
        )

    def first_batch(self, batch: Batch) -> None:
        """Keep up to `many` images of a batch as the training images; used if there is no data module."""
        self.images = batch.images[: self.many].detach().clone()
        self.labels = None if batch.labels is None else batch.labels[: self.many].clone()

    def real(self, model: GAN, many: bool = False) -> Batch:
        """Return training images as the discriminator currently sees them.

        Args:
            model: the monitored model.
            many: return as many as in a full reading.
        """
        batch = self._prepared("train", model, self.many if many else self.n)
        assert batch is not None
        return batch

    def held_out(self, model: GAN) -> Batch | None:
        """Return up to as many held-out images as a full reading uses; None if there are fewer than 2."""
        return self._prepared("held_out", model, self.many)

    def fake(self, model: GAN, real: Batch) -> Batch:
        """Generate images from the fixed latents, with the classes of the real ones."""
        n = len(real)
        labels = real.labels if model.num_classes else None
        with seeded(self._seed, model.device):  # for generators that draw noise of their own
            return Batch(model.generate(model.generator, self.latents[:n], labels), labels)

    def _prepared(self, split_name: str, model: GAN, n: int) -> Batch | None:
        """Return up to n images of a split as the discriminator currently sees them; None if there are fewer than 2."""
        if self._data is None:
            if split_name != "train" or self.images is None:
                return None
            labels = None if self.labels is None else self.labels[:n]
            raw = Batch(in_dtype_of(model.generator, self.images[:n]), labels).to(model.device)
        else:
            raw = self._read(split_name, model, n)
            if len(raw) < 2:
                return None
        with seeded(self._seed, model.device):  # dequantisation draws noise
            return model.prepare(raw if model.num_classes else Batch(raw.images))

    def _read(self, split_name: str, model: GAN, n: int) -> Batch:
        """Read up to n images of a split at the model's current resolution; they are cached until it changes."""
        assert self._data is not None
        resolution = model.data_resolution(model.progress)
        key = split_name, n, resolution
        if key not in self._cache:
            if any(cached[2] != resolution for cached in self._cache):
                self._cache.clear()
            split: Split = getattr(self._data, split_name)
            classes = CLASSES if model.num_classes and n == self.n else 0
            raw = split.batch(torch.from_numpy(random_indices(split, n, classes, self._seed)), resolution)
            self._cache[key] = Batch(to_float(raw.images), raw.labels).to(model.device)
        return self._cache[key]


def random_indices(split: Split, n: int, classes: int, seed: int) -> NDArray[np.int64]:
    """Draw indices of images within a split, without replacement.

    Args:
        split: the images.
        n: number of indices; fewer if the split is smaller.
        classes: number of classes that the images alternate between; 0 for any images. It is ignored if too few classes
            have n / `classes` images.
        seed: seed of the draw.
    """
    rng = np.random.default_rng(seed)
    if not classes or split.pool.labels is None:
        return rng.permutation(len(split))[:n]
    labels = split.pool.labels[split.indices]
    each = -(-n // classes)
    names, counts = np.unique(labels, return_counts=True)
    enough = names[counts >= each]
    if len(enough) < classes:
        return rng.permutation(len(split))[:n]
    chosen = rng.choice(enough, classes, replace=False)
    columns = [rng.permutation(np.flatnonzero(labels == name))[:each] for name in chosen]
    return np.stack(columns, 1).reshape(-1)[:n].astype(np.int64)
