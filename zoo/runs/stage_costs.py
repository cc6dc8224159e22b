"""Measure before a run how long an image takes in each of its stages.

A copy of the model plays rounds on random images at every resolution that the run will pass. The model, its random
numbers and its data are not touched. Without the measurement, the time left of a network that grows would be that of
its smallest images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
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
MEASURING, SHARE = 15.0, 0.03
"""Seconds in which all stages of a planned run are measured, and the largest share of its time that this may be; half
a second for each stage in any case. The speed of half a second differs from that of a run by up to 40 %."""
STRENGTH = 0.4
"""Probability of each transformation of an adaptive augmentation while it is measured; measured runs settled there
(`studies/README.md`, adaptive augmentation)."""
NEVER = 10**9
"""Rounds between two gradient penalties in a measurement of rounds that have none."""
SHORT = 60.0
"""Seconds of a run, by the cost of its last stage, below which the other stages are not measured."""


def stage_costs(
    recipe: Recipe,
    model: GAN,
    data: Any,
    turn: float = TURN,
    short: float = SHORT,
) -> list[Stage]:
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
        stages[i] = replace(stages[i], seconds=seconds_in(recipe, model, data, stages[i], turn))
        if stages[-1].seconds * recipe.images < short:
            break
    return stages


def planned_costs(recipe: Recipe, model: GAN, data: Any, seconds: float) -> list[Stage]:
    """Return the stages of a run with the measured seconds of an image, by which its length will be planned.

    Args:
        recipe: recipe of the run.
        model: model that is to be trained; it is copied.
        data: source of images, which tells the sizes of batches.
        seconds: time that the run is to take; the longer it is, the longer the measurement.
    """
    kinds = 1 if model.penalty_every == 1 else 2  # rounds with a penalty and without
    count = kinds * len(stages_of(model.data_resolution, recipe.images))
    return stage_costs(recipe, model, data, max(TURN, min(MEASURING, SHARE * seconds) / count), short=0.0)


def growing_costs(recipe: Recipe, model: GAN, data: Any, known: Mapping[int, float] | None = None) -> Sequence[Stage]:
    """Return the stages of a run with their costs if the model grows and trains in one process; else none.

    Args:
        recipe: recipe of the run.
        model: model that is to be trained; it is copied.
        data: source of images, which tells the sizes of batches.
        known: seconds of an image by resolution in pixels, if a plan has measured them.
    """
    stages = stages_of(model.data_resolution, recipe.images)
    grows = len(stages) > 1
    if known and all(stage.resolution in known for stage in stages):
        return [replace(stage, seconds=known[stage.resolution]) for stage in stages] if grows else []
    if not grows or not is_one_process(recipe.trainer) or not isinstance(data, Images):
        return []
    return stage_costs(recipe, model, data)


def seconds_in(
    recipe: Recipe, model: GAN, data: Images, stage: Stage, turn: float = TURN, most: float = math.inf
) -> float:
    """Return the seconds of an image in the middle of a stage.

    Rounds without a gradient penalty and rounds with one are measured apart, as a lazy penalty is due only in every
    n-th round.

    Args:
        recipe: recipe of the run.
        model: model that is to be trained; it is copied.
        data: source of images, which tells the sizes of batches.
        stage: the stage.
        turn: seconds for which each kind of rounds is played at least.
        most: seconds of an image above which the measurement is given up and infinity is returned.
    """
    player = copy_at(model, (stage.first + stage.last) // 2)
    if player.augmentation.adaptive is not None:  # by then it has risen from 0, where it costs nothing
        player.augmentation.adaptive.strength = STRENGTH
    every, resolution = player.penalty_every, player.data_resolution(player.progress)
    stopwatch = _Stopwatch(turn, most)
    play(player, recipe, data.batch_size_at(resolution), resolution, stopwatch)
    if every == 1:
        return stopwatch.with_penalty
    return stopwatch.with_penalty / every + stopwatch.without * (every - 1) / every


class _Stopwatch(Callback):
    """A callback that measures whole cycles of rounds, after a first one, and stops the training.

    Args:
        turn: seconds to measure at least, of each kind of rounds.
        most: seconds of an image above which the measurement is given up.
    """

    def __init__(self, turn: float, most: float = math.inf) -> None:
        self.turn, self.most = turn, most
        self.without, self.with_penalty = 0.0, 0.0  # seconds for an image
        self._began: float | None = None
        self._images = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Measure rounds without a penalty first, if most have none."""
        pl_module.penalty_every = NEVER if pl_module.penalty_every > 1 else 1

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any) -> None:
        """At the end of a cycle, begin to measure, or add the cycle and stop if that was enough."""
        shown = pl_module.images_seen - pl_module.images_before
        pl_module.images_undone += shown  # so that it stays in its stage
        if self._began is not None:
            self._images += shown
        if pl_module.rounds % pl_module.critic_steps:
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        now = time.perf_counter()
        if self._began is None:
            self._began, self._images = now, 0
            return
        if now - self._began < self.turn:
            return
        seconds = (now - self._began) / max(self._images, 1)
        if seconds > self.most:
            self.without = self.with_penalty = math.inf
            trainer.should_stop = True
            return
        self._began = None
        if pl_module.penalty_every == NEVER:
            self.without = seconds
            pl_module.penalty_every = 1
        else:
            self.with_penalty = seconds
            trainer.should_stop = True
