"""Load a recipe of this library: a GAN, a source of images, callbacks and loggers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningDataModule
from pytorch_lightning.loggers import Logger

from zoo.callbacks import Every
from zoo.config.kinds import Kind, Kinds
from zoo.config.loading import read_recipe
from zoo.config.recipe import Recipe
from zoo.data import Images
from zoo.gan import GAN
from zoo.io.files import with_home
from zoo.training.precision import precision_fault

KINDS = Kinds(
    model=Kind(GAN, "a GAN"),
    data=Kind(LightningDataModule, "a source of images"),
    source=Images,
    callback=Kind(Callback, "a Lightning callback"),
    logger=Kind(Logger, "a Lightning logger"),
    abstract=(GAN, Images, Every),
    precision_fault=precision_fault,
)


def load_recipe(where: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read, override and check a recipe.

    Args:
        where: name or path of the recipe.
        overrides: nested values that replace those of the file, such as {"model": {"width": 32}}; None removes a
            callback, and a class may be given in place of its name.

    Raises:
        RecipeError: with every fault that was found.
    """
    if str(where).startswith("~"):
        where = str(with_home(where))
    return read_recipe(where, overrides, KINDS)
