"""Check a run before any image is decoded: its model, and whether there are images."""

from __future__ import annotations

from contextlib import suppress

import torch

from zoo.config.recipe import Recipe
from zoo.data import Folder


def check_model_and_images(recipe: Recipe) -> None:
    """Check what can be known without decoding images: the model, and whether a folder of images lists any.

    Raises:
        UserError: if the class of the model or of the data refuses its settings, or there are no images.
    """
    check_model(recipe)
    data = recipe.data.build()
    if isinstance(data, Folder):
        data.files()


def check_model(recipe: Recipe) -> None:
    """Build the model on the meta device, which costs neither memory nor random numbers of the run.

    Raises:
        UserError: if the class of the model refuses its settings.
    """
    # A class that computes as it is built cannot be built on the meta device; it is checked when it is built.
    cannot = suppress(NotImplementedError, RuntimeError, TypeError)
    with torch.random.fork_rng(devices=[]), torch.device("meta"), cannot:
        recipe.model.build()
