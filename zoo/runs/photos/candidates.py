"""The choice of resolution, model and width of a planned run: by images, knowledge and measured speed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from zoo.errors import UserError
from zoo.io.progress import step
from zoo.runs.photos.asked import Asked, built
from zoo.runs.photos.choices import ADAPTIVE_BELOW, GIVEN, largest_resolution, plain
from zoo.runs.photos.models import (
    FEWEST,
    LIKE,
    PLENTY,
    SETTINGS,
    Candidate,
    best_model,
    reason_of_given,
    settings_of_model,
)
from zoo.runs.stage_costs import seconds_in
from zoo.training.stages import stages_of
from zoo.training.threads import threads_of


class Selection:
    """The choice of a candidate, with what was measured on the way.

    Args:
        asked: what the plan is asked for.
        channels: channels of the images.
        classes: number of classes.
    """

    def __init__(self, asked: Asked, channels: int, classes: int) -> None:
        self.asked, self.channels, self.classes = asked, channels, classes
        self.threads = torch.get_num_threads()
        self.measured: dict[Candidate, float] = {}  # seconds of an image at full resolution

    def choose(self) -> Candidate:
        """Choose resolution, model and width, put their settings into the plan, and return the candidate."""
        asked, choices = self.asked, self.asked.choices
        largest, why = largest_resolution(asked.found)
        if "model.resolution" in choices.flat:
            resolution, why = int(plain(choices.flat["model.resolution"])), GIVEN
            chosen = self._of(resolution)
            affordable = asked.affordable(self._cost(chosen))
        else:
            chosen, affordable = self._largest_affordable(largest)
            resolution = chosen.resolution
            if resolution < largest:
                why = f"{largest} px would suit the images, but not the time: it takes {FEWEST[largest]:,} images"
        if affordable < FEWEST.get(resolution, 0) and asked.images is None:
            enough = FEWEST[resolution]
            why += (
                f". {asked.hours:g} hours are too short for {enough:,} images; with fewer expect blurs. "
                f"hours={asked.hours * enough / max(affordable, 1):.2g} would do"
            )
        choices.choose("model.resolution", resolution, why)
        best, reason = best_model(resolution, asked.on_gpu)
        if "model.class" in choices.flat:
            choices.say("model.class", chosen.name, reason_of_given(chosen.name))
        elif chosen.name == best:
            choices.choose("model.class", chosen.name, reason)
        else:
            others = ", ".join(f"model.{key}" for key in sorted(self._given() - settings_of_model(best)))
            choices.choose("model.class", chosen.name, f"{best} would be the choice, but has no {others}")
        scale = 4 if asked.on_gpu else 2 if affordable >= PLENTY else 1
        chosen = replace(chosen, scale=scale)
        self._settle(chosen)
        return chosen

    def _of(self, resolution: int) -> Candidate:
        """Return the candidate of a resolution: the user's model, or the best.

        Raises:
            UserError: for a model that is not planned.
        """
        given = self.asked.choices.flat.get("model.class")
        if given is None:
            return Candidate(self._best_with_given(resolution), resolution)
        name = str(plain(given))
        if name not in SETTINGS:
            raise UserError(
                f"model.class: recipe=photos plans {', '.join(SETTINGS)}; got {name}. Choose another recipe for it; "
                "`python -m zoo` lists them"
            )
        return Candidate(name, resolution)

    def _given(self) -> set[str]:
        """Return the names of the user's settings of the model."""
        given: Mapping[str, Any] = self.asked.choices.given.get("model") or {}
        return {*given} - {"class"}

    def _best_with_given(self, resolution: int) -> str:
        """Return the best of the models that have all settings of the user's.

        Raises:
            UserError: if no model has all of them.
        """
        best, given = best_model(resolution, self.asked.on_gpu)[0], self._given()
        able = [name for name in (best, *SETTINGS) if given <= settings_of_model(name)]
        if not able:
            raise UserError(
                f"model: none of {', '.join(SETTINGS)} has all of {', '.join(sorted(given))}. Leave out those that "
                "belong to another model"
            )
        return able[0]

    def _model(self, candidate: Candidate) -> dict[str, Any]:
        """Return the settings of a candidate; a width of the user's stands for a list of widths."""
        settings = candidate.model(self.channels, self.classes)
        if "widths" in settings and "width" in self._given() and "widths" not in self._given():
            settings["widths"] = []
        return settings

    def _largest_affordable(self, largest: int) -> tuple[Candidate, int]:
        """Return the candidate of the largest resolution that there is time for, and the images in the time.

        One resolution is measured. From its cost those of the next smaller ones are estimated, a quarter for each, to
        spare the measurement of those that will not do. The smallest is taken in any case.
        """
        sizes = [side for side in sorted(FEWEST, reverse=True) if side <= largest]
        cost = 0.0
        for resolution in sizes[:-1]:
            if cost and self.asked.affordable(cost / 4) < FEWEST[resolution]:
                cost /= 4
                continue
            cost = self._cost(self._of(resolution))
            affordable = self.asked.affordable(cost)
            if affordable >= FEWEST[resolution]:
                return self._of(resolution), affordable
        smallest = self._of(sizes[-1])
        return smallest, self.asked.affordable(self._cost(smallest))

    def _cost(self, candidate: Candidate) -> float:
        """Measure the seconds of an image at the end of a run, with the number of threads that is faster."""
        model = self._model(candidate)
        data = {"batch_size": candidate.batch_size(self.asked.train), "channels": self.channels}
        if self.asked.train >= ADAPTIVE_BELOW:
            model["augment"] = []
        recipe = self.asked.recipe(
            {"images": candidate.nominal, "model": model, "data": {**data, "labels": bool(self.classes)}}
        )
        network, source = built(recipe), recipe.data.build()
        last, costs = stages_of(network.data_resolution, recipe.images)[-1], dict[int, float]()
        with step(f"measuring {candidate.name} at {candidate.resolution} px"):
            for threads in self._threads_to_try():
                most = min(costs.values(), default=math.inf)
                with threads_of(threads):
                    costs[threads] = seconds_in(recipe, network, source, last, most=most)
        self.threads = min(costs, key=costs.__getitem__)
        self.measured[candidate] = costs[self.threads]
        return costs[self.threads]

    def _threads_to_try(self) -> list[int]:
        """Return the numbers of threads that are measured: one and torch's own, until one has been chosen."""
        given = plain(self.asked.choices.flat.get("trainer.threads", "auto"))
        if given != "auto":
            return [int(given)]
        if self.measured:
            return [self.threads]
        own = torch.get_num_threads()
        return [own] if self.asked.on_gpu else sorted({own, 1})

    def _settle(self, chosen: Candidate) -> None:
        """Put the settings of the model into the plan, and say how wide it is and how large its batches are."""
        choices = self.asked.choices
        settings = self._model(chosen)
        for key, value in settings.items():
            if f"model.{key}" not in choices.flat and key not in ("class", "resolution"):
                choices.put(f"model.{key}", value)
        name, like = "widths" if settings.get("widths") else "width", LIKE[chosen.name]
        reason = {
            1: f"as in {like}",
            2: f"twice as in {like}, as there is time for more than {PLENTY:,} images; not tried",
            4: f"four times as in {like}, for a GPU; not tried",
        }[chosen.scale]
        choices.choose(f"model.{name}", settings.get(name), reason)
        batch, train = chosen.batch_size(self.asked.train), self.asked.train
        is_small = batch != chosen.batch_size(10**9)
        choices.choose("data.batch_size", batch, f"at most half of {train:,} training images" if is_small else reason)
