"""The fixed inputs on which a run is watched: the same latents and images at every reading, so that only the networks
can be the reason when a signal moves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data import Images, Split
from zoo.data.pool import to_float
from zoo.gan import GAN
from zoo.training.batch import Batch
from zoo.training.seeding import derive_seed, seeded

CLASSES = 2
"""Of a conditional model the fixed images show only so many classes, else few of them could be alike."""


class Fixed:
    """Latents, training images and held-out images.

    Without a data module of the zoo the training images are those of the first batch, and none are held out.

    Args:
        model: to be watched.
        data: a data module of the zoo, or anything else.
        n: images of each kind in a quick reading.
        many: in a full one.
    """

    def __init__(self, model: GAN, data: Any, n: int, many: int) -> None:
        self.n, self.many = n, many
        self.images: Tensor | None = None  # of the first batch, where there is no data module
        self.labels: Tensor | None = None
        self._data = data if isinstance(data, Images) else None
        self._held: dict[tuple[str, int, int], Batch] = {}
        seed = derive_seed("alarms", model.seed)
        self._rng_seed = seed
        with seeded(seed, model.device):
            self.latents = model.sample_latent(many)
            self.classes = model.sample_labels(many)

    def wanting(self, model: GAN) -> bool:
        """Whether there are no two real images to look at, of the size that is wanted now."""
        if self._data is not None:
            return len(self._data.train) < 2
        return (
            self.images is None or len(self.images) < 2 or self.images.shape[-1] < model.data_resolution(model.progress)
        )

    def first_batch(self, batch: Batch) -> None:
        """Where there is no data module: keep images of the first batch, or of the first after images have grown."""
        self.images = batch.images[: self.many].detach().clone()
        self.labels = None if batch.labels is None else batch.labels[: self.many].clone()

    def real(self, model: GAN, many: bool = False) -> Batch:
        """Training images as the discriminator sees them at this moment."""
        found = self._take("train", model, self.many if many else self.n)
        assert found is not None
        return found

    def held_out(self, model: GAN) -> Batch | None:
        """As many held-out images as a full reading takes, or None where there are none."""
        return self._take("held_out", model, self.many)

    def fake(self, model: GAN, real: Batch) -> Batch:
        """Generated images of the fixed latents, with the classes of the real ones."""
        n = len(real)
        labels = real.labels if model.num_classes else None
        with seeded(self._rng_seed, model.device):  # for generators that draw noise of their own
            return Batch(model.generate(model.generator, self.latents[:n], labels), labels)

    def _take(self, part: str, model: GAN, n: int) -> Batch | None:
        if self._data is None:
            if part != "train" or self.images is None:
                return None
            labels = None if self.labels is None else self.labels[:n]
            raw = Batch(self.images[:n], labels).to(model.device)
        else:
            raw = self._read(part, model, n)
            if len(raw) < 2:
                return None
        with seeded(self._rng_seed, model.device):  # dequantisation draws noise
            return model.prepare(raw if model.num_classes else Batch(raw.images))

    def _read(self, part: str, model: GAN, n: int) -> Batch:
        """Images at the resolution that is wanted now; kept, since it changes seldom."""
        assert self._data is not None
        resolution = model.data_resolution(model.progress)
        key = part, n, resolution
        if key not in self._held:
            if any(kept[2] != resolution for kept in self._held):
                self._held.clear()
            split: Split = getattr(self._data, part)
            few = CLASSES if model.num_classes and n == self.n else 0
            raw = split.batch(torch.from_numpy(places(split, n, few, self._rng_seed)), resolution)
            self._held[key] = Batch(to_float(raw.images), raw.labels).to(model.device)
        return self._held[key]


def places(split: Split, n: int, classes: int, seed: int) -> NDArray[np.int64]:
    """At most n places in a part of the data, drawn without replacement; of `classes` classes in turn, 0 for any."""
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
