"""The length of a planned run in images, its measurements of samples, and how often it saves and shows something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.config.recipe import Recipe
from zoo.config.values import merged
from zoo.io.progress import duration_text
from zoo.runs.hours import ROUNDS_ALONE, rounded, scaled_settings
from zoo.runs.photos.asked import Asked
from zoo.runs.photos.choices import ADA_SHARE, GIVEN, plain
from zoo.training.stages import Stage

MEASUREMENTS = (6, 2000), (3, 2000), (3, 1000), (1, 1000)
"""Measurements of samples during a run and images in each; the first for which there is time is chosen."""
BESIDES = 5
"""Sets of features that are computed besides: of real images, and of samples at the end."""
SHORT_HOURS, FEW = 1.0, 200
"""Hours of a run and training images below which samples are not measured while it goes on."""
LARGEST_SHARE = 0.1
"""Share of the run that measurements may take; if they would take more, there are none."""
GRIDS, CHECKPOINTS = 20, 10
"""Grids and checkpoints of a run, besides those by the clock."""
GRID_MINUTES, CHECKPOINT_MINUTES = 5.0, 10.0
"""Longest times between two grids, and between two checkpoints."""


@dataclass(frozen=True)
class Metrics:
    """Measurements of samples during a run.

    Args:
        times: their number.
        images: samples in each.
        seconds: how long all of them take.
    """

    times: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Length:
    """The length of a run.

    Args:
        images: in images.
        seconds: in seconds, with everything that is done between rounds.
        metrics: measurements of samples, if there are any.
        settings: nested settings of the plan, with all schedules scaled.
    """

    images: int
    seconds: float
    metrics: Metrics | None
    settings: dict[str, Any]


def may_measure(asked: Asked) -> bool:
    """Return whether it is for the plan to decide whether samples are measured, and the run is long enough."""
    is_given = any(key.startswith("callbacks.SampleMetrics") for key in asked.choices.flat)
    return not is_given and asked.hours >= SHORT_HOURS and asked.train >= FEW


def metrics_within(metric: float | None, most: float) -> Metrics | None:
    """Return the measurements for which there is time.

    Args:
        metric: seconds for one sample; None if samples are not measured.
        most: seconds that all measurements may take.
    """
    for times, images in MEASUREMENTS if metric else ():
        seconds = (metric or 0.0) * images * (times + BESIDES)
        if seconds <= most:
            return Metrics(times, images, seconds)
    return None


def choose_length(asked: Asked, recipe: Recipe, stages: Sequence[Stage], metric: float | None) -> Length:
    """Choose the length and the intervals of a run.

    Args:
        asked: what the plan is asked for.
        recipe: the recipe at its nominal length.
        stages: its stages with the measured seconds of an image.
        metric: measured seconds for one sample's metrics; None if samples are not measured.
    """
    choices = asked.choices
    cost = sum((stage.last - stage.first) * stage.seconds for stage in stages) / recipe.images
    total = 3600 * asked.hours if asked.images is None else asked.images * cost / ROUNDS_ALONE
    metrics = metrics_within(metric, LARGEST_SHARE * total)
    share = ROUNDS_ALONE - (metrics.seconds / total if metrics else 0.0)
    images = asked.images or max(1, rounded(share * total / cost))
    costs = ", ".join(f"{1000 * stage.seconds:.3g} ms at {stage.resolution} px" for stage in stages)
    hours = f"hours={asked.hours:g}" + (" unless you give another" if asked.is_default_time else "")
    reason = GIVEN if asked.images is not None else f"{hours}, {share:.0%} of it in rounds"
    choices.say("images", f"{images:,}", f"{reason}; an image takes {costs}, measured")
    seconds = images * cost / share
    shown = images / max(asked.train, 1)
    text = f"{seconds / 3600:.2g} hours" if seconds >= 5400 else f"{seconds / 60:.2g} min"
    choices.say("time", text, f"each training image is shown {shown:,.0f} times")
    settings = merged(choices.settings, scaled_settings(recipe, images))
    settings = merged(settings, {"model": _by_length(recipe, images)})
    settings = merged(settings, {"callbacks": _intervals(asked, images, seconds, metrics, metric)})
    return Length(images, seconds, metrics, settings)


def _by_length(recipe: Recipe, images: int) -> dict[str, Any]:
    """Return the settings of the model that depend on the length but are no schedules."""
    halflife = recipe.model.arguments["average_halflife"]
    settings = {"average_halflife": int(halflife * max(1.0, images / recipe.images))}
    if "adaptive" in recipe.model.arguments["augment"]:
        settings["ada_speed"] = max(1000, rounded(ADA_SHARE * images))
    return settings


def _intervals(
    asked: Asked, images: int, seconds: float, metrics: Metrics | None, metric: float | None
) -> dict[str, Any]:
    """Choose how often pictures, checkpoints and measurements are made."""
    minutes = round(max(0.2, min(GRID_MINUTES, seconds / 300)), 1)
    result: dict[str, Any] = {
        "SampleGrid": {"every": max(1, images // GRIDS), "minutes": minutes},
        "SaveEvery": {"every": max(1, images // CHECKPOINTS), "minutes": CHECKPOINT_MINUTES},
    }
    _say_intervals(asked, result)
    if any(key.startswith("callbacks.SampleMetrics") for key in asked.choices.flat):
        return result
    if metrics is None:
        asked.choices.say("metrics", "none", _why_none(asked, metric))
        return {**result, "SampleMetrics": None}
    asked.choices.say(
        "metrics",
        f"{metrics.times} times {metrics.images:,} samples",
        f"FD-effnet-lite0 and coverage, {duration_text(metrics.seconds)} in all; the best checkpoint is kept",
    )
    return {**result, "SampleMetrics": {"every": max(1, images // metrics.times), "n": metrics.images}}


def _say_intervals(asked: Asked, planned: dict[str, dict[str, Any]]) -> None:
    """Say how often grids are drawn and checkpoints saved, by the clock and in images; settings of the user count."""
    given: Any = asked.choices.given.get("callbacks") or {}
    texts = []
    for name, what in (("SampleGrid", "grids"), ("SaveEvery", "checkpoints")):
        if name in given and given[name] is None:
            texts.append(f"no {what}")
            continue
        merged_settings = {**planned[name], **(given.get(name) or {})}
        minutes, every = (float(plain(merged_settings[key])) for key in ("minutes", "every"))
        clock = f"every {minutes:g} min and " if minutes else ""
        texts.append(f"{what} {clock}every {every:,.0f} images")
    asked.choices.say("intervals", texts[0], texts[1])


def _why_none(asked: Asked, metric: float | None) -> str:
    after = "python -m zoo.evaluate checkpoint=RUN measures afterwards"
    if asked.hours < SHORT_HOURS:
        return f"the run is shorter than an hour; {after}"
    if asked.train < FEW:
        return f"{asked.train:,} training images are too few for a Fréchet distance"
    if metric is None:
        return "they need a further package: pip install 'gan-zoo[metrics]'"
    return f"they would take more than {LARGEST_SHARE:.0%} of the time; {after}"
