"""The data module that every source of images extends."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from pytorch_lightning import LightningDataModule
from torch import Tensor

from zoo.data.description import description, missing_classes
from zoo.data.loader import Loader
from zoo.data.pool import Pool, split_pool, to_float
from zoo.data.stream import Stream
from zoo.errors import DataError, require_at_least
from zoo.training.batch import Batch
from zoo.training.seeding import derive_seed

RESIDENT_BYTES = 2**30  # data sets up to this size are kept in the memory of a GPU
MOST_CLASSES = 10**6  # counts of classes are kept, so a label such as a number of a customer would fill the memory


class Images(LightningDataModule):
    """A data module whose images have a fixed held-out part that is never trained on.

    A source extends this class with `read`, which returns a `Pool`. `setup` sets the attributes `train` and `held_out`,
    two `Split`s. The next batch is a function of the number of images seen, so a resumed run continues with the next
    image. Batches are moved to the device as uint8 and converted there to float in [-1, 1].

    Args:
        resolution: height and width in pixels.
        channels: 1 for grey, 3 for colour.
        batch_size: number of images in a batch of one process; for a growing model also a mapping such as
            {4: 128, 32: 64, 128: 16}, from a resolution in pixels to the batch size from that resolution on.
        held_out: images that are never trained on: a share of all images if below 1, otherwise their number. A data set
            whose publisher has a test part holds out that part instead.
        flip: whether to mirror each training image horizontally with probability 1/2.
        num_workers: number of processes that read batches in advance; 0 reads in the training process, which is fast
            enough for decoded images.
        seed: seed of the shuffling and the mirroring.
        split_seed: seed of the held-out part. It does not depend on `seed`, so that runs with different seeds hold out
            the same images.
    """

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        batch_size: int | dict[int, int] = 64,
        held_out: float = 0.1,
        flip: bool = False,
        num_workers: int = 0,
        seed: int = 0,
        split_seed: int = 0,
    ) -> None:
        super().__init__()
        self.batch_sizes = batch_size if isinstance(batch_size, dict) else {1: batch_size}
        if not self.batch_sizes:
            raise ValueError("batch_size is a number, or a mapping from resolutions to numbers; got an empty mapping")
        require_at_least(1, resolution=resolution, channels=channels)
        for size in self.batch_sizes.values():
            require_at_least(1, batch_size=size)
        require_at_least(0, held_out=held_out, num_workers=num_workers)
        if held_out >= 1 and held_out != int(held_out):
            raise ValueError(f"held_out is a share below 1, or a whole number of images; got {held_out}")
        self.resolution, self.channels = resolution, channels
        self.held_out_size, self.flip, self.num_workers = held_out, flip, num_workers
        self.seed, self.split_seed = seed, split_seed
        self._pool: Pool | None = None

    # --- implemented by a source -------------------------------------------------------------------------------------

    def read(self) -> Pool:
        """Return all images of the source at training resolution."""
        raise NotImplementedError

    def plan(self) -> str:
        """Look for the images without reading them, and return what reading them will take; empty for next to nothing.

        Raises:
            DataError: if there are none.
        """
        return ""

    # --- used by the rest of the library -----------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Download and decode the images in one process; the other processes read them from the cache afterwards."""
        if self._pool is None:
            self._pool = self.read()

    def setup(self, stage: str | None = None) -> None:
        """Read the images and split them into `train` and `held_out`.

        Args:
            stage: unused; part of Lightning's interface.

        Raises:
            DataError: if fewer training images are left than one batch needs, or a label is negative or very large.
        """
        if self._pool is None:
            self._pool = self.read()
        labels = self._pool.labels
        if labels is not None and len(labels) and (lowest := int(labels.min())) < 0:
            raise DataError(
                f"{type(self).__name__} has labels from {lowest} on; class indices are whole numbers from 0 on. Number "
                "the classes from 0, and leave out images without a class"
            )
        if labels is not None and len(labels) and (highest := int(labels.max())) >= MOST_CLASSES:
            raise DataError(
                f"{type(self).__name__} has labels up to {highest:,}; class indices are whole numbers below "
                f"{MOST_CLASSES:,}. Number the classes from 0 without gaps"
            )
        self.train, self.held_out = split_pool(self._pool, self.held_out_size, self.split_seed)
        largest = max(self.batch_sizes.values())
        if len(self.train) < largest:
            smaller = f"Set data.batch_size to {len(self.train)} or less, hold" if len(self.train) else "Hold"
            raise DataError(
                f"{type(self).__name__} has {len(self.train):,} images to train on, fewer than one batch of "
                f"{largest} (held out: {len(self.held_out):,}). {smaller} out fewer (data.held_out), or give "
                "more images"
            )

    @property
    def num_classes(self) -> int:
        """The number of classes, including those without images; 0 if there are no labels."""
        if self._pool is None or self._pool.labels is None:
            return 0
        return max(len(self._pool.class_names), int(self._pool.labels.max()) + 1)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their numbers; empty without labels or names."""
        return () if self._pool is None or self._pool.labels is None else tuple(self._pool.class_names)

    def found_settings(self) -> dict[str, Any]:
        """Return settings that follow from the images and that a run records in its recipe; none for most sources."""
        return {}

    def describe(self) -> str:
        """Return one line about the images: number, size, classes with their numbers, and what was left out."""
        return description(type(self).__name__, self._ready_pool(), self.train, self.held_out)

    def notes(self) -> list[str]:
        """Return notes about what is likely a mistake, such as images of one colour, or colour that is read in grey."""
        return self._ready_pool().facts.notes(self.channels)

    @property
    def pool(self) -> Pool:
        """The decoded images and what is known about them; they are read if that has not been done."""
        return self._ready_pool()

    def _ready_pool(self) -> Pool:
        """Return the images, after reading and splitting them if that has not been done."""
        if self._pool is None or not hasattr(self, "train"):
            self.setup()
        assert self._pool is not None
        return self._pool

    @property
    def digest(self) -> str:
        """The digest of the images and the split, 32 hexadecimal digits."""
        digest = hashlib.blake2b(self._ready_pool().digest.encode(), digest_size=16)
        digest.update(self.held_out.indices.tobytes())
        return digest.hexdigest()

    def train_dataloader(self) -> Loader:
        """Return a loader of training batches, which begins at the current clock.

        Without a limit on epochs (`max_epochs=-1`, as in `zoo.fit`) the loader is endless, which avoids the work
        between epochs. With a limit, an epoch has as many complete batches as the training images fill.

        Without a Trainer there is no model to fit and nothing that would convert the batches afterwards: the loader has
        one epoch, always the first, and its batches are float in [-1, 1], mirrored as in training.

        Raises:
            DataError: if resolution or classes do not fit the model.
        """
        self._ready_pool()
        size = self.batch_size_at(self.resolution)
        if self.trainer is None:
            length = max(1, len(self.train) // size)
            return Loader(self._stream, self.resolution_at, self.train, None, self.num_workers, length, self._finished)
        model = self.trainer.lightning_module
        self._check_resolution(getattr(model, "resolution", self.resolution))
        self._check_labels(0 if getattr(model, "makes_labels", False) else getattr(model, "num_classes", 0))
        endless = self.trainer.max_epochs == -1
        batches = None if endless else max(1, len(self.train) // (size * self.trainer.world_size))
        return Loader(self._stream, self.resolution_at, self.train, self._resident_device(), self.num_workers, batches)

    def next_batch(self) -> Batch:
        """Return the training batch that comes next by the clock, as the model gets it, on the CPU."""
        self._ready_pool()
        seen, chosen = next(self._stream().draws())
        return self._finished(self.train.batch(chosen, self.resolution_at(seen)), seen)

    def preview(self, count: int) -> Tensor:
        """Return training images of the first epoch (at most `count`, C, H, W) as the model gets them, in [-1, 1]."""
        self._ready_pool()
        order = Stream(len(self.train), 1, seed=self.seed).order(0)
        return self._finished(self.train.batch(order[:count], self.resolution), 0).images

    def resolution_at(self, images_seen: int) -> int:
        """Return the resolution in pixels at which the model trains after a number of images.

        This is the resolution of the data for models that do not grow.
        """
        model: Any = None if self.trainer is None else self.trainer.lightning_module
        if not hasattr(model, "data_resolution"):
            return self.resolution
        return int(model.data_resolution(images_seen - getattr(model, "images_undone", 0)))

    def batch_size_at(self, resolution: int) -> int:
        """Return the batch size of one process at a resolution in pixels.

        Raises:
            DataError: if the mapping of batch sizes begins at a larger resolution.
        """
        starts = [start for start in self.batch_sizes if start <= resolution]
        if not starts:
            raise DataError(
                f"data.batch_size has no entry for {resolution} px; it begins at {min(self.batch_sizes)} px"
            )
        return self.batch_sizes[max(starts)]

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Mirror images at random if `flip` is set, and convert them to float in [-1, 1], on the device."""
        return self._finished(batch, self._images_seen(), 0 if self.trainer is None else self.trainer.global_rank)

    def _finished(self, batch: Batch, seen: int, rank: int = 0) -> Batch:
        """Return a batch as the model gets it, before which `seen` images were shown."""
        images = batch.images
        if self.flip:
            generator = torch.Generator().manual_seed(derive_seed("mirror", self.seed, rank, seen))
            mirrored = (
                torch.rand(len(images), 1, 1, 1, generator=generator).lt(0.5).to(images.device, non_blocking=True)
            )
            images = torch.where(mirrored, images.flip(3), images)
        return Batch(to_float(images), batch.labels)

    def state_dict(self) -> dict[str, Any]:
        """Return the record of the data for the checkpoint: digest, sizes of both parts, class names, files left out.

        The digest tells audits whether they use the same images.
        """
        pool = self._ready_pool()
        return {
            "digest": self.digest,
            "train": len(self.train),
            "held_out": len(self.held_out),
            "class_names": list(self.class_names),
            "left_out": dict(pool.left_out),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that a resumed run uses the data it began with.

        Raises:
            DataError: if the images or the split differ.
        """
        if state_dict["digest"] != self.digest:
            raise DataError(
                f"the checkpoint was trained on {state_dict['train']:,} images with {state_dict['held_out']:,} held "
                f"out (digest {state_dict['digest'][:8]}); {type(self).__name__} now gives {len(self.train):,} and "
                f"{len(self.held_out):,} (digest {self.digest[:8]}). A resumed run keeps its data: restore them, or "
                f"start a new run{self._remedy(state_dict)}"
            )

    def _remedy(self, state_dict: dict[str, Any]) -> str:
        """Return a further remedy for data that differ from those of a checkpoint, as the end of a sentence."""
        return ""

    # --- helpers of the loader ---------------------------------------------------------------------------------------

    def _batch_size(self, images_seen: int) -> int:
        return self.batch_size_at(self.resolution_at(images_seen))

    def _images_seen(self) -> int:
        return 0 if self.trainer is None else int(getattr(self.trainer.lightning_module, "images_seen", 0))

    def _stream(self) -> Stream:
        rank, world_size = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        return Stream(
            len(self.train),
            self._batch_size,
            seed=self.seed,
            start=self._images_seen(),
            rank=rank,
            world_size=world_size,
        )

    def _resident_device(self) -> torch.device | None:
        assert self.trainer is not None
        assert self._pool is not None
        device = self.trainer.strategy.root_device
        return device if device.type == "cuda" and self._pool.images.nbytes <= RESIDENT_BYTES else None

    def _check_resolution(self, wanted: int) -> None:
        if wanted != self.resolution:  # a growing model would otherwise fail only after hours
            raise DataError(
                f"{type(self).__name__} gives images of {self.resolution} px, the model was built for {wanted} px. Set "
                f"data.resolution={wanted}, or the model's resolution to the data's"
            )

    def _check_labels(self, wanted: int) -> None:
        name, present = type(self).__name__, self.num_classes
        if wanted and not present:
            raise DataError(
                f"the model is conditional (model.num_classes={wanted}) but {name} has no labels. Set "
                "model.num_classes=0, or give labelled data: for a Folder, one subfolder for each class and "
                "data.labels=true"
            )
        if wanted and present > wanted:
            raise DataError(
                f"{name} has {present} classes but the model only {wanted}. Set model.num_classes={present}"
            )
        if missing := missing_classes(self._ready_pool(), self.train, wanted):
            rank_zero_warn(missing)
