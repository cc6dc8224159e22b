"""Rounds on random images that a copy of a model plays before a run, to find out how long they take."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities.seed import isolate_rng

from zoo.config.recipe import Recipe
from zoo.gan import GAN
from zoo.runs.loggers import quiet_lightning
from zoo.training.batch import Batch
from zoo.training.malloc import keep_freed_memory

DEVICE = ("accelerator", "devices")


def copy_at(model: GAN, images: int) -> GAN:
    """Return a copy of a model whose clock is at a number of images."""
    player = copy.deepcopy(model)
    player.set_clock(images)
    return player


def play(player: GAN, recipe: Recipe, batch_size: int, resolution: int, callback: Callback) -> None:
    """Train a copy of a model on random images until the callback stops it; the random numbers of the run stay.

    Args:
        player: the copy.
        recipe: recipe of the run, whose device and precision are used.
        batch_size: images of a batch.
        resolution: height and width of the images in pixels.
        callback: callback that measures, and sets `trainer.should_stop`.
    """
    keep_freed_memory()  # as in the run itself
    device: dict[str, Any] = {key: recipe.trainer[key] for key in DEVICE if key in recipe.trainer}
    with quiet_lightning(), warnings.catch_warnings(), isolate_rng():
        warnings.simplefilter("ignore")  # about the loader; the run itself will say it
        Trainer(
            **{**device, "devices": 1},
            precision=recipe.trainer["precision"],
            max_epochs=-1,
            logger=False,
            callbacks=[callback],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(player, random_batches(player, batch_size, resolution))


def random_batches(model: GAN, batch_size: int, resolution: int) -> Iterator[Batch]:
    """Return one random batch again and again, as a loader that Lightning iterates over."""
    images = torch.rand(batch_size, model.channels, resolution, resolution) * 2 - 1
    labels = torch.zeros(batch_size, dtype=torch.long) if model.num_classes else None
    batch = Batch(images.contiguous(memory_format=torch.channels_last), labels)
    return iter(lambda: batch, None)
