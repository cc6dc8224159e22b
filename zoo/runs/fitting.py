"""What `python -m zoo.fit` does: train by a recipe, and say where the results are."""

from __future__ import annotations

import signal
import sys
from typing import Any

from zoo.config.command_line import checked_arguments
from zoo.config.settings import settings_of
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.run import Plan, Run, is_rank_zero, plan_run
from zoo.training.terms import NonFiniteLossError


def options(recipe: str | None = None, resume: str | None = None, out: str | None = None, check: bool = False) -> None:
    """What the command takes beside the recipe's own sections."""


def main(**words: Any) -> int:
    """Train a GAN by a recipe.

      recipe=NAME_OR_PATH   a recipe of the zoo (`python -m zoo` lists them) or a YAML file
      KEY=VALUE             anything in the recipe: images=20000 model.width=32 data.class=Folder data.root=photos
      resume=auto|PATH      go on with the newest run of the recipe, or with a run folder or checkpoint
      out=FOLDER            the run's folder instead of runs/RECIPE/TIME
      check=true            print the resolved recipe and stop

    Ctrl-C finishes the round, saves and stops; a second one ends at once.
    """
    own = {key: words.pop(key) for key in list(words) if key in settings_of(options)}
    chosen = checked_arguments(options, own)
    plan = plan_run(chosen["recipe"], out=chosen["out"], resume=chosen["resume"], overrides=words)
    for note in plan.recipe.notes if is_rank_zero() else []:
        print(f"note: {note}", file=sys.stderr if chosen["check"] else sys.stdout)
    if chosen["check"]:
        print(plan.recipe.to_yaml(), end="")
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
    if not is_rank_zero():
        return 0
    print(summary(run))
    return 128 + run.stopped_by if run.stopped_by else int(run.alarm is not None)


def headline(plan: Plan) -> str:
    """What is about to run, in a line or two."""
    recipe = plan.recipe
    model, data = recipe.model.target.__name__, recipe.data.target.__name__
    start = f", from {plan.start.name}" if plan.start else ""
    return (
        f"{recipe.name}: {model} on {data}, {recipe.images:,} images, {recipe.trainer['precision']}{start}\n"
        f"run folder: {plan.folder}"
    )


def last_good(plan: Plan) -> str:
    """Where to go on after a run diverged."""
    found = checkpoints_in(plan.folder)
    return f"the last good checkpoint: {found[0]}" if found else "no checkpoint had been written yet"


def summary(run: Run) -> str:
    """What was done and where it is."""
    seen = run.model.progress
    lines = [f"{run.model.images_seen:,} images in {run.seconds:,.0f} s"]
    if run.stopped_by:
        name = signal.Signals(run.stopped_by).name
        lines[0] = f"stopped by {name} at {seen:,} of {run.recipe.images:,} images, saved"
        lines.append(f"go on with: python -m zoo.fit resume={run.folder}")
    elif run.alarm is not None:
        lines[0] = f"stopped by the alarm {run.alarm['alarm']!r} at {seen:,} of {run.recipe.images:,} images"
        healthy = run.alarm["healthy"]
        lines.append(
            f"before it: python -m zoo.fit resume={RunFolder(run.folder).healthy_checkpoint(healthy)}"
            if healthy
            else "no state had been judged healthy yet"
        )
    samples = RunFolder(run.folder).sample_grids()
    if samples:
        lines.append(f"samples: {samples[-1]}")
    lines.append(f"draw more: python -m zoo.sample checkpoint={run.folder}")
    return "\n".join(lines)
