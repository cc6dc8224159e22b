"""Measure before a run how long an image takes in each of its stages.

A copy of the model plays rounds on random images at every resolution that the run will pass. The model, its random
numbers and its data are not touched. Without the measurement, the time left of a network that grows would be that of
its smallest images.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from zoo.config.recipe import Recipe
from zoo.data import Images
from zoo.gan import GAN
from zoo.runs.trials import copy_at, play
from zoo.training.hardware import is_one_process
from zoo.training.stages import Stage, stages_of

TURN = 0.5
"""Seconds of a stage's rounds, if a cycle of rounds is not longer, after one cycle that is not counted."""
SHORT = 60.0
"""Seconds of a run, by the cost of its last stage, below which the other stages are not measured."""


def stage_costs(recipe: Recipe, model: GAN, data: Any, turn: float = TURN, short: float = SHORT) -> list[Stage]:
    """Return the stages of a run with the measured seconds of an image.

    Args:
        recipe: recipe of the run.
        model: model that is to be trained; it is copied.
        data: source of images, which tells the sizes of batches.
        turn: seconds for which each stage is played at least.
        short: seconds of the run below which only the last stage is measured, so that the others have no costs.
    """
    stages = stages_of(model.data_resolution, recipe.images)
    for i in reversed(range(len(stages))):
        stages[i] = replace(stages[i], seconds=_seconds(recipe, model, data, stages[i], turn))
        if stages[-1].seconds * recipe.images < short:
            break
    return stages


def growing_costs(recipe: Recipe, model: GAN, data: Any) -> Sequence[Stage]:
    """Return the stages of a run with their costs if the model grows and trains in one process; else none."""
    grows = len(stages_of(model.data_resolution, recipe.images)) > 1
    if not grows or not is_one_process(recipe.trainer) or not isinstance(data, Images):
        return []
    return stage_costs(recipe, model, data)


def _seconds(recipe: Recipe, model: GAN, data: Images, stage: Stage, turn: float) -> float:
    """Return the seconds of an image in the middle of a stage."""
    player = copy_at(model, (stage.first + stage.last) // 2)
    resolution = player.data_resolution(player.progress)
    stopwatch = _Stopwatch(turn)
    play(player, recipe, data.batch_size_at(resolution), resolution, stopwatch)
    return stopwatch.seconds / max(stopwatch.images, 1)


class _Stopwatch(Callback):
    """A callback that measures whole cycles of rounds, after a first one, and stops the training.

    Args:
        turn: seconds to measure at least.
    """

    def __init__(self, turn: float) -> None:
        self.turn, self.seconds, self.images = turn, 0.0, 0
        self._began: float | None = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any) -> None:
        """At the end of a cycle, begin to measure, or add the cycle and stop if that was enough."""
        shown = pl_module.images_seen - pl_module.images_before
        pl_module.images_undone += shown  # so that it stays in its stage
        if self._began is not None:
            self.images += shown
        if pl_module.rounds % pl_module.critic_steps:
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        now = time.perf_counter()
        if self._began is None:
            self._began = now
            return
        self.seconds = now - self._began
        trainer.should_stop = self.seconds >= self.turn
