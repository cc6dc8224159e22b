"""The loggers of a run, built before its data are read, and Lightning's own messages, which a run keeps quiet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pytorch_lightning.loggers import Logger

from zoo.config.recipe import ClassSpec, Recipe
from zoo.io.files import with_home

LIBRARIES = ("pytorch_lightning", "lightning_fabric")


def build_loggers(recipe: Recipe, folder: Path) -> list[Logger]:
    """Build the loggers of a recipe. One that would write into the working directory writes into the run folder.

    Args:
        recipe: the recipe of the run.
        folder: the run folder.

    Raises:
        UserError: if a logger refuses a value, or its package is missing.
    """
    return [_within(folder, part).build() for part in recipe.loggers.values()]


def _within(folder: Path, part: ClassSpec) -> ClassSpec:
    """Return a logger with the run folder in place of `save_dir="."`, the default of Weights & Biases.

    Another folder is that of the user, with a home folder in place of `~`.
    """
    given = part.arguments.get("save_dir")
    if not isinstance(given, str):
        return part
    chosen = folder if given in (".", "./") else with_home(given)
    return replace(part, arguments={**part.arguments, "save_dir": str(chosen)})


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's lines about GPUs, TPUs and other products while the block runs; warnings are still shown.

    A level that the user has set to DEBUG stays.
    """
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        if logger.level in (logging.NOTSET, logging.INFO):
            logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before):
            logger.setLevel(level)
