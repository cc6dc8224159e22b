"""Plan a run by its hours: measure how long an image takes in each stage, and scale the recipe to that time.

The plan is made once, before the run, and what is planned are images: the recipe that the run records has the length
and every schedule as numbers. A resumed run keeps them and ends with the same bits, however fast the machine is then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from zoo.config.class_names import find_class
from zoo.config.recipe import Recipe
from zoo.config.values import merged
from zoo.data import Images
from zoo.errors import UserError
from zoo.gan import GAN
from zoo.runs.changes import loop_settings
from zoo.runs.durations import check_hours
from zoo.runs.stage_costs import planned_costs
from zoo.runs.threads import Choice, choose
from zoo.training.hardware import choose_precision
from zoo.training.processes import refuse_several
from zoo.training.stages import Stage

ROUNDS_ALONE = 0.95
"""Share of the time in which rounds are played; the rest is for pictures, checkpoints and metrics."""
INTERVALS = ("every",)
"""Settings of callbacks that are intervals in images."""
Load = Callable[[Mapping[str, Any]], Recipe]


def planned_overrides(load: Load, overrides: Mapping[str, Any], hours: float) -> tuple[dict[str, Any], str]:
    """Return overrides by which a run takes a number of hours on this machine, and a line that says so.

    The length, the schedules of the model (`GAN.schedule_settings`) and the intervals of callbacks are multiplied by
    one factor; what is given in `overrides` stays.

    Args:
        load: function that reads and checks the recipe with overrides.
        overrides: nested values that replace those of the recipe.
        hours: the time, in hours.

    Raises:
        UserError: for a time that is no positive number, beside `images`, for several processes, or for data that are
            no `zoo.data.Images`.
    """
    check_hours(hours, overrides)
    recipe = load(overrides)
    recipe.trainer["precision"] = choose_precision(recipe.trainer)
    refuse_several(recipe.trainer, "hours=, which measures the speed before the run,")
    data = recipe.data.build()
    if not isinstance(data, Images):
        raise UserError(f"hours: the sizes of batches of {type(data).__name__} are not known. Give images= instead")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = recipe.model.build()
    choice, stages = measured_stages(recipe, model, data, 3600 * hours)
    factor = 3600 * hours * ROUNDS_ALONE / sum((stage.last - stage.first) * stage.seconds for stage in stages)
    images = max(1, rounded(recipe.images * factor))
    planned = scaled_settings(recipe, images) | {"trainer": {"threads": choice.threads}}
    return merged(planned, overrides), describe(hours, images, stages, images / recipe.images)


def scaled_settings(recipe: Recipe, images: int) -> dict[str, Any]:
    """Return a length, and the schedules of the model and the intervals of callbacks scaled to it, as overrides.

    Args:
        recipe: recipe of another length.
        images: the length in images.
    """
    factor = images / recipe.images
    return {
        "images": images,
        "model": _scaled_model(recipe, factor),
        "callbacks": _scaled_callbacks(recipe, factor),
    }


def describe(hours: float, images: int, stages: Sequence[Stage], factor: float) -> str:
    """Describe the plan in a line: the length in images, and what an image costs in each stage."""
    costs = ", ".join(f"{1000 * stage.seconds:.2g} ms an image at {stage.resolution} px" for stage in stages)
    return (
        f"hours={hours:g} is planned as images={images:,} ({costs}), all schedules and intervals {factor:.3g} times "
        "those of the recipe"
    )


def measured_stages(recipe: Recipe, model: GAN, data: Images, seconds: float) -> tuple[Choice, list[Stage]]:
    """Choose the number of threads and measure all stages of a run of so many seconds with it."""
    own = torch.get_num_threads()
    choice = choose(recipe, model, data, None, own)
    torch.set_num_threads(choice.threads)
    try:
        return choice, planned_costs(recipe, model, data, seconds)
    finally:
        torch.set_num_threads(own)


def _scaled_model(recipe: Recipe, factor: float) -> dict[str, Any]:
    """Return the settings of the model's schedules, scaled, unless they follow `images` by a reference."""
    where, settings = loop_settings(recipe)
    target: Any = recipe.model.target if len(where) == 1 else find_class(str(settings["class"]), GAN)
    names = [name for name in target.schedule_settings if name in settings and (*where, name) not in recipe.references]
    scaled = {name: _scaled(settings[name], factor) for name in names}
    return scaled if len(where) == 1 else {"base": scaled}


def _scaled_callbacks(recipe: Recipe, factor: float) -> dict[str, Any]:
    """Return the intervals of the callbacks, scaled; those that have one."""
    return {
        name: {key: max(1, _scaled(part.arguments[key], factor)) for key in INTERVALS if part.arguments.get(key)}
        for name, part in recipe.callbacks.items()
        if any(isinstance(part.arguments.get(key), int) for key in INTERVALS)
    }


def _scaled(value: Any, factor: float) -> Any:
    """Return a number of images, or a mapping of such, multiplied by a factor."""
    if isinstance(value, Mapping):
        return {key: _scaled(each, factor) for key, each in value.items()}
    return rounded(value * factor)


def rounded(images: float) -> int:
    """Return a number of images with three digits that count."""
    digits = max(0, int(math.log10(images)) - 2) if images >= 1 else 0
    return int(round(images / 10**digits) * 10**digits)
