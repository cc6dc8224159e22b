"""Train by a recipe and report where the results are: the work of `python -m zoo.fit`."""

from __future__ import annotations

import signal
import sys
from typing import Any

from zoo.errors import LostProcessError, shell_word
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.checking import check_model_and_images
from zoo.runs.durations import refuse_group_of_plan
from zoo.runs.group_fitting import fit_group
from zoo.runs.groups import asked_group
from zoo.runs.planning import plan_run
from zoo.runs.recipes import load_recipe
from zoo.runs.training_run import Plan, Run, is_rank_zero
from zoo.runs.verdict.lines import verdict_lines
from zoo.training.terms import NonFiniteLossError


def main(
    recipe: str | None = None,
    resume: str | None = None,
    out: str | None = None,
    seeds: str | list[int] | None = None,
    hours: float | None = None,
    check: bool = False,
    **overrides: Any,
) -> int:
    """Train a GAN by a recipe, once or for several seeds and settings.

    Ctrl-C finishes the round, saves and stops; a second one ends at once.

    Args:
        recipe: name of a recipe of this library (`python -m zoo` lists them), or path of a YAML file; may be left out
            when a run is resumed.
        resume: run folder, checkpoint or folder of a group to go on with, or `auto` for the newest run or group of the
            recipe. Of a group, the runs that are not finished go on, and those that are missing start.
        out: folder of the run, or of the group; None for runs/RECIPE/TIME.
        seeds: seeds joined by commas, such as 0,1,2, each for a run of its own; None for the recipe's seed. The runs
            are trained one after another, in folders such as seed=0 below the folder of the group. Beside the resume
            of a group, seeds to add to it.
        hours: length of the run in hours, instead of images=: the speed is measured, and the length, the schedules and
            the intervals of the recipe are scaled to it and kept. For one run, in one process. recipe=photos chooses
            model and resolution by it as well, and takes 3 hours without it.
        check: whether to build the model without memory, to look for the images, to print the recipe with every default
            written out, and to stop, without training.
        overrides: values in place of the recipe's, such as images=20000 model.width=32 data.class=Folder
            data.root=photos. Several numbers for a setting that takes one make a grid, with a run for each combination:
            model.width=32,64.

    Returns:
        The exit code.

    Examples:
        python -m zoo.fit recipe=dcgan_digits
        python -m zoo.fit recipe=photos data.root=photos hours=2
        python -m zoo.fit recipe=dcgan_digits images=20000 model.width=32 out=runs/small
        python -m zoo.fit recipe=dcgan_celeba data.class=Folder data.root=photos check=true
        python -m zoo.fit recipe=dcgan_digits resume=auto
        python -m zoo.fit recipe=progan_digits hours=0.5
        python -m zoo.fit recipe=dcgan_digits seeds=0,1,2 model.width=32,64
        python -m zoo.fit resume=runs/dcgan_digits/TIME seeds=3,4
    """
    group = asked_group(load_recipe, recipe, resume=resume, out=out, seeds=seeds, overrides=overrides)
    if group is not None:
        refuse_group_of_plan(recipe, hours)
        return fit_group(group, _train, check)
    plan = plan_run(recipe, out=out, resume=resume, hours=hours, overrides=overrides)
    if check:
        plan = plan.settled()
        plan.print_notes(sys.stderr)
        check_model_and_images(plan.recipe)
        print(plan.recipe.to_yaml(), end="")
        return 0
    with plan.claimed() as claimed:
        claimed.print_notes()
        return _train(claimed)


def _train(plan: Plan) -> int:
    """Train, say where the results are, and return the exit code."""
    if plan.finished:
        print(plan.finished)
        return 0
    if is_rank_zero():
        print(headline(plan), flush=True)
    try:
        run = plan.run()
    except NonFiniteLossError as error:
        if not is_rank_zero():  # raised in all processes at once
            return 0
        print(f"zoo.fit: stopped, {error}\n{last_good(plan)}", file=sys.stderr)
        return 1
    except LostProcessError as error:
        print(f"zoo.fit: stopped, {error}", file=sys.stderr, flush=True)
        return 1
    if not is_rank_zero():
        return 0
    print(summary(run))
    return 128 + run.stopped_by if run.stopped_by else int(run.alarm is not None)


def headline(plan: Plan) -> str:
    """Describe a run that is about to start: recipe, model, data, length, precision and folder."""
    recipe = plan.recipe
    model, data = recipe.model.target.__name__, recipe.data.target.__name__
    start = f", from {plan.start.name}" if plan.start else ""
    return (
        f"{recipe.name}: {model} on {data}, {recipe.images:,} images, {recipe.trainer['precision']}{start}\n"
        f"run folder: {plan.folder}"
    )


def last_good(plan: Plan) -> str:
    """Name the last checkpoint of a run that diverged."""
    checkpoints = checkpoints_in(plan.folder)
    return f"the last good checkpoint: {checkpoints[0]}" if checkpoints else "no checkpoint had been written yet"


def summary(run: Run) -> str:
    """Describe a run that has ended: its length, why it stopped early, and where its results are."""
    progress = run.model.progress
    lines = [f"{run.model.images_seen:,} images in {run.seconds:,.0f} s"]
    if run.stopped_by:
        name = signal.Signals(run.stopped_by).name
        lines[0] = f"stopped by {name} at {progress:,} of {run.recipe.images:,} images, saved"
        lines.append(f"go on with: python -m zoo.fit resume={shell_word(run.folder)}")
    elif run.alarm is not None:
        lines[0] = f"stopped by the alarm {run.alarm['alarm']!r} at {progress:,} of {run.recipe.images:,} images"
        healthy = run.alarm["healthy"]
        lines.append(
            f"before it: python -m zoo.fit resume={shell_word(RunFolder(run.folder).healthy_checkpoint(healthy))}"
            if healthy
            else "no state had been judged healthy yet"
        )
    lines += verdict_lines(run.folder)
    samples = RunFolder(run.folder).sample_grids()
    if samples:
        lines.append(f"samples: {samples[-1]}")
    lines.append(f"draw more: python -m zoo.sample checkpoint={shell_word(run.folder)}")
    return "\n".join(lines)
