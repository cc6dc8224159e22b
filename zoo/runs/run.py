"""Train by a recipe, in a run folder. In order, `zoo.fit` does the following.

1. If a run is resumed: find the checkpoint (`find_start`).
2. Load and check the recipe, or that of the resumed run, with the overrides; decide the run folder and the precision
   (`zoo.runs.planning`). Nothing is built and nothing is written before this has succeeded.
3. Create the run folder and claim it: at most one run writes into a folder (`zoo.io.claims`). Then plan
   `recipe=photos`, which takes a while and first draws a picture of the images (`zoo.runs.photos`).
4. Seed torch with the recipe's seed. Build the data source and the callbacks, read the data, build the model.
5. Copy the weights of `pretrained`, or check that the checkpoint to resume from fits the model.
6. Create Lightning's trainer; on a CPU choose the number of threads by a trial (`zoo.runs.threads`); train.
7. When all processes have started: use the run folder of rank 0 in all of them. In the first round: write the recipe
   and the environment, and move away files that are newer than the checkpoint the run is resumed from (`RunRecorder`).
8. When training ends: record how long it took and how many images were seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from zoo.runs.durations import refuse_group_of_plan
from zoo.runs.groups import asked_group
from zoo.runs.loggers import quiet_lightning
from zoo.runs.planning import plan_run
from zoo.runs.recipes import load_recipe
from zoo.runs.training_run import Run
from zoo.training.processes import refuse_several

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from zoo.runs.typed_settings import Overrides


@overload
def fit(
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seeds: None = None,
    hours: float | None = None,
    **overrides: Unpack[Overrides],
) -> Run: ...


@overload
def fit(
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seeds: Sequence[int],
    **overrides: Unpack[Overrides],
) -> list[Run]: ...


def fit(
    recipe: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    seeds: Sequence[int] | None = None,
    hours: float | None = None,
    **overrides: Unpack[Overrides],
) -> Run | list[Run]:
    """Train by a recipe, once or for several seeds.

    Args:
        recipe: name or path of the recipe; may be left out if a run is resumed.
        out: the run folder; by default `runs/RECIPE/TIME`.
        resume: a run folder or a checkpoint to continue, or "auto" for the newest run of this recipe, or a new run if
            there is none; with `seeds`, the folder of a group.
        seeds: seeds of several runs, which are trained one after another in folders below `out`, such as `seed=0`.
        hours: length of the run in hours instead of `images`, see `zoo.runs.hours`; without `seeds` only.
        overrides: sections or values that replace those of the recipe, such as `images=20_000` or
            `model={"width": 32}`; `pretrained="biggan_fashion"` starts from those weights.

    Returns:
        The run; with `seeds`, a list of one run for each.

    Raises:
        UserError: for faults of recipe, data or checkpoint.
        NonFiniteLossError: if training diverges; the last good checkpoint stays.
    """
    if seeds is None:
        return _fit(recipe, out=out, resume=resume, hours=hours, overrides=overrides)
    refuse_group_of_plan(recipe, hours)
    group = asked_group(
        load_recipe, recipe, resume=resume, out=out, seeds=seeds, overrides=overrides, with_commas=False
    )
    assert group is not None  # that seeds are given makes it one
    refuse_several(load_recipe(group.recipe, group.overrides).trainer, "a group of runs")
    with group.claimed() as claimed:
        return [_fit(**claimed.options(name)) for name in claimed.names]


def _fit(recipe: str | Path | None = None, **options: Any) -> Run:
    """Train one run; the options are those of `plan_run`."""
    with quiet_lightning(), plan_run(recipe, **options).claimed() as plan:
        plan.print_notes()
        return plan.run()
