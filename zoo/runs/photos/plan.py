"""Plan a run on a folder of photographs: look, decide, measure, and say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.config.recipe import Recipe
from zoo.config.values import merged
from zoo.data.group_patterns import suggest_grouping
from zoo.data.image_files import ImageFiles
from zoo.data.near_duplicates import near_duplicates
from zoo.data.survey import survey
from zoo.errors import UserError, shell_word
from zoo.io.files import atomic_write, printable
from zoo.io.progress import step
from zoo.io.room import free_bytes, size_text, spared
from zoo.io.run_folder import RunFolder
from zoo.runs.durations import check_hours
from zoo.runs.photos.asked import Asked, Load, built
from zoo.runs.photos.candidates import Selection
from zoo.runs.photos.choices import (
    Choices,
    choose_augmentation,
    choose_channels,
    choose_classes,
    choose_mirroring,
    largest_resolution,
    plain,
)
from zoo.runs.photos.first_look import save_first_look
from zoo.runs.photos.lengths import Length, choose_length, may_measure
from zoo.runs.photos.measuring import checkpoint_bytes, metric_seconds, peak_memory, total_memory
from zoo.runs.photos.models import RELATIVISTIC, early
from zoo.runs.photos.start import settings_of_start, start_line
from zoo.runs.photos.table import table
from zoo.runs.stage_costs import planned_costs
from zoo.runs.threads import has_accelerator
from zoo.training.processes import refuse_several
from zoo.training.threads import threads_of

HOURS = 3.0
"""Length of a run in hours, unless it is given."""
FEWEST_IMAGES = 20
"""Images below which nothing is planned."""
COMPARED = 4000
"""Images among which a plan looks for near-duplicates; `python -m zoo.data` compares more."""
FULL = 0.8
"""Share of the memory from which on the plan warns."""
MODEL_CHANGED = "model.class was changed"
"""Beginning of a note that is none where the plan chooses the model."""
SIDE, FRAMES = 48, 60
"""Smallest side of a cell of a grid in pixels, and the most frames of the animation of grids."""


@dataclass(frozen=True)
class PhotoPlan:
    """The plan of a run.

    Args:
        recipe: the recipe that is planned, an ordinary one.
        text: the plan as a table for the user.
        costs: measured seconds of an image by resolution in pixels.
    """

    recipe: Recipe
    text: str
    costs: dict[int, float]

    def write(self, path: Path) -> None:
        """Write the table into a file."""
        with atomic_write(path) as scratch:
            scratch.write_text(printable(f"{self.text}\n"), encoding="utf-8")


def plan_photos(load: Load, overrides: Mapping[str, Any], hours: float | None, folder: Path | None = None) -> PhotoPlan:
    """Plan a run on a folder or an archive of images.

    Args:
        load: function that reads and checks the recipe with overrides.
        overrides: nested values that replace those of the recipe; they stay.
        hours: length of the run in hours; None for `images` in the overrides, else for `HOURS`.
        folder: the run folder, in which the images are shown before anything is measured; None for no picture.

    Raises:
        UserError: for images that are too few or no files, several processes, or a time that is no positive number.
    """
    if hours is not None:
        check_hours(hours, overrides)
    asked = _asked(load, overrides, hours)
    choices, found = asked.choices, asked.found
    left_out = sum(found.left_out.values()) + found.num_unreadable
    files = "1 file is" if left_out == 1 else f"{left_out:,} files are"
    why = f"; {files} left out (python -m zoo.data root=FOLDER says why)" if left_out else ""
    choices.say("data", f"{found.count:,} images", f"{asked.train:,} to train on{why}")
    channels, classes = choose_channels(choices, found), choose_classes(choices, found)
    if folder is not None:
        _show(asked, channels, RunFolder(folder).real_grid)
    selection = Selection(asked, channels, classes)
    chosen = selection.choose()
    choose_augmentation(choices, asked.train, chosen.name in RELATIVISTIC)
    choose_mirroring(choices)
    recipe = asked.recipe({"images": chosen.nominal})
    data = recipe.data.build()
    data.prepare_data()
    data.setup()
    _say_near_duplicates(choices, data)
    with peak_memory(asked.on_gpu) as peak, threads_of(selection.threads):
        model = built(recipe)
        with step("measuring the stages"):
            stages = planned_costs(recipe, model, data, asked.seconds(max(selection.measured.values())))
        metric = metric_seconds(model) if may_measure(asked) else None
    length = choose_length(asked, recipe, stages, metric)
    planned = merged(length.settings, {"trainer": {"threads": selection.threads}})
    planned = merged(planned, choices.given)
    final = load(planned)
    final.notes[:] = [note for note in final.notes if not note.startswith(MODEL_CHANGED)]
    _say_estimates(asked, final, model, data, peak.bytes, length)
    choices.lines.append(start_line(final, chosen))
    return PhotoPlan(final, table(choices.lines), {stage.resolution: stage.seconds for stage in stages})


def _asked(load: Load, overrides: Mapping[str, Any], hours: float | None) -> Asked:
    """Check the recipe with the user's settings, look at the images, and return what is asked for.

    Raises:
        UserError: for images that are too few or no files, or several processes.
    """
    recipe = load(early(overrides))
    refuse_several(recipe.trainer, "recipe=photos, which measures the speed before the run,")
    source = recipe.data.build()
    if not isinstance(source, ImageFiles):
        raise UserError(
            f"recipe=photos plans for files of images (data.class=Folder or Zip); got {type(source).__name__}. Choose "
            "another recipe for these data; `python -m zoo` lists them"
        )
    found = survey(source)
    if found.count < FEWEST_IMAGES:
        raise UserError(
            f"{source.root} has {found.count} images (data.root), too few to plan a training for. Give at least "
            f"{FEWEST_IMAGES}, better thousands"
        )
    images = overrides.get("images")
    held_out = source.held_out_size
    return Asked(
        load=load,
        choices=Choices(merged(settings_of_start(recipe.pretrained, overrides), overrides)),
        source=source,
        found=found,
        train=found.count - int(held_out * found.count if held_out < 1 else held_out),
        hours=HOURS if hours is None else hours,
        is_default_time=hours is None,
        images=None if images is None else int(plain(images)),
        on_gpu=str(recipe.trainer.get("accelerator", "auto")) != "cpu" and has_accelerator(),
    )


def _show(asked: Asked, channels: int, path: Path) -> None:
    """Draw images of the folder as training will see them, at the largest resolution that is planned for them."""
    given = asked.choices.flat.get("model.resolution")
    side = largest_resolution(asked.found)[0] if given is None else int(plain(given))
    with spared("the picture of training images", path.parent):
        if save_first_look(asked.source, channels, side, path):
            print(f"the images, as training will see them: {path}", flush=True)


def _say_near_duplicates(choices: Choices, data: ImageFiles) -> None:
    """Say how many held-out images have a near-duplicate in training, and what helps."""
    duplicates = near_duplicates(data.pool.images, COMPARED)
    leaking = len(duplicates.across(data.held_out.indices))
    scope = f"among {duplicates.compared:,} images" if duplicates.compared < duplicates.images else "in all"
    if not leaking:
        choices.say("near-duplicates", "none over the split", f"{len(duplicates):,} pairs {scope}")
        return
    grouping = None
    if data.group is None:
        grouping = suggest_grouping(data.names(), duplicates, len(data.held_out), leaking, data.split_seed)
    remedy = f"; data.group={shell_word(grouping.pattern)} leaves {grouping.left:,}" if grouping else ""
    choices.say(
        "near-duplicates",
        f"{leaking:,} held-out images",
        f"have one in training ({len(duplicates):,} pairs {scope}), so metrics look better than they are: "
        f"python -m zoo.data root=FOLDER shows them{remedy}",
    )


def _say_estimates(asked: Asked, recipe: Recipe, model: Any, data: ImageFiles, peak: int, length: Length) -> None:
    """Say what memory and disk the run takes."""
    total = total_memory(asked.on_gpu)
    name = "memory of the GPU" if asked.on_gpu else "memory"
    remedy = "; model.micro_batches=2 halves that of the activations" if peak > FULL * total else ""
    asked.choices.say(name, size_text(peak), f"measured in rounds of this model; there are {size_text(total)}{remedy}")
    keep = (
        recipe.callbacks["SaveEvery"].arguments["keep"] + bool(length.metrics) if "SaveEvery" in recipe.callbacks else 0
    )
    run = keep * checkpoint_bytes(model) + _bytes_of_pictures(recipe, data.resolution, length.seconds)
    smaller = 4 / 3 if model.data_resolution(0) < data.resolution else 1
    free = free_bytes(Path.cwd())
    asked.choices.say(
        "disk",
        size_text(run),
        f"the run folder: {keep} checkpoints of {size_text(checkpoint_bytes(model))}, pictures, logs; decoded images "
        f"in the cache: {size_text(int(data.pool.images.nbytes * smaller))}"
        + (f"; only {size_text(free)} are free here" if run > free else ""),
    )


def _bytes_of_pictures(recipe: Recipe, resolution: int, seconds: float) -> int:
    """Estimate the bytes of the grids, of their copies in the log, and of the animation."""
    if "SampleGrid" not in recipe.callbacks:
        return 0
    arguments = recipe.callbacks["SampleGrid"].arguments
    by_clock = seconds / 60 / arguments["minutes"] if arguments["minutes"] else 0
    grids = 2 + max(recipe.images / arguments["every"], by_clock)
    cells = arguments["rows"] * (arguments["columns"] or 10)
    return int((2 * grids + min(grids, FRAMES) / 3) * cells * max(SIDE, resolution) ** 2 * 1.5)
