"""What a plan is asked for: the recipe with the user's settings, the time, the images and the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from zoo.config.recipe import Recipe
from zoo.config.values import merged
from zoo.data.image_files import ImageFiles
from zoo.data.survey import Survey
from zoo.runs.hours import ROUNDS_ALONE, rounded
from zoo.runs.photos.choices import Choices
from zoo.training.hardware import choose_precision

Load = Callable[[Mapping[str, Any]], Recipe]
"""A function that reads and checks the recipe with overrides."""
OF_RUN = ("images", "pretrained")
"""Settings of the user that measurements go without."""


@dataclass(frozen=True)
class Asked:
    """What a plan is asked for.

    Args:
        load: function that reads and checks the recipe with overrides.
        choices: the choices so far, with the user's settings.
        source: the images.
        found: facts about them.
        train: number of training images.
        hours: length of the run in hours.
        is_default_time: whether nobody gave the hours.
        images: length of the run in images, if it is given.
        on_gpu: whether the run is on a GPU.
    """

    load: Load
    choices: Choices
    source: ImageFiles
    found: Survey
    train: int
    hours: float
    is_default_time: bool
    images: int | None
    on_gpu: bool

    def recipe(self, settings: Mapping[str, Any]) -> Recipe:
        """Return the recipe with the choices so far and further settings, for a measurement."""
        given = {key: value for key, value in self.choices.given.items() if key not in OF_RUN}
        recipe = self.load(merged(merged(self.choices.settings, settings), given))
        recipe.trainer["precision"] = choose_precision(recipe.trainer)
        return recipe

    def affordable(self, seconds: float) -> int:
        """Return the images that there is time for at a cost in seconds; those of the user where a number is given."""
        return rounded(3600 * self.hours * ROUNDS_ALONE / seconds) if self.images is None else self.images

    def seconds(self, cost: float) -> float:
        """Return the time that is asked for; at a cost of an image in seconds where a number of images is given."""
        return 3600 * self.hours if self.images is None else cost * self.images / ROUNDS_ALONE


def built(recipe: Recipe) -> Any:
    """Build the model of a recipe without touching the random numbers of the run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return recipe.model.build()
