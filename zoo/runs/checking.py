"""Check a run before any image is decoded: its model, and whether there are images."""

from __future__ import annotations

import torch

from zoo.config.recipe import Recipe
from zoo.data import Folder
from zoo.data.encoded import EncodedImages
from zoo.errors import UserError

NOT_ON_META = (NotImplementedError, RuntimeError, TypeError)
"""Errors of code that needs the values of tensors, which there are none of on the meta device."""


def check_model_and_images(recipe: Recipe) -> None:
    """Check what can be known without decoding images: the model, and whether a folder of images lists any.

    Raises:
        UserError: if the class of the model or of the data refuses its settings, or there are no images.
    """
    check_model(recipe)
    data = recipe.data.build()
    if isinstance(data, Folder):
        data.files()
    elif isinstance(data, EncodedImages):
        data.check_place()


def check_model(recipe: Recipe) -> None:
    """Build the model, which costs no random numbers of the run, and no memory on the meta device.

    A class that computes as it is built cannot be built on the meta device; it is built as it will be in training.

    Raises:
        UserError: if the class of the model refuses its settings, or fails.
    """
    with torch.random.fork_rng():
        if not _is_built_on_meta(recipe):
            recipe.model.build()


def _is_built_on_meta(recipe: Recipe) -> bool:
    """Build the model on the meta device; return False if its class needs values of tensors, or fails otherwise.

    Raises:
        UserError: if the class refuses its settings.
    """
    try:
        with torch.device("meta"):
            recipe.model.build()
    except (*NOT_ON_META, UserError) as error:
        if not isinstance(error.__cause__ or error, NOT_ON_META):
            raise
        return False
    return True
