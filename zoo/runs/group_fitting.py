"""Train the runs of a group one after another: the part of `python -m zoo.fit` for `seeds=` and for grids."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UserError, shell_word
from zoo.io.group_folder import GroupFolder
from zoo.io.run_folder import checkpoints_in
from zoo.runs.checking import check_model, check_model_and_images
from zoo.runs.finishing import finished_line
from zoo.runs.grids import points_apart_from_seed
from zoo.runs.groups import Group
from zoo.runs.planning import plan_run
from zoo.runs.training_run import Plan
from zoo.training.processes import refuse_several

ENDED_EARLY = 1
"""Exit code of a run that an alarm, or a loss that is not finite, has ended."""
SIGNALLED = 128
"""Exit codes above are those of signals."""

Train = Callable[[Plan], int]
"""A function that trains a claimed run, says where its results are, and returns the exit code."""


def fit_group(group: Group, train: Train, check: bool = False) -> int:
    """Train the runs of a group, or those that are left of it, and return the exit code.

    Args:
        group: the group.
        train: function that trains one run.
        check: whether to check all runs, to print the recipe of the first, and to stop.

    Returns:
        0 if all runs have all their images, 1 if one of them ended early, 128 and more after a signal.

    Raises:
        UserError: for a fault of any run, before the first one starts.
    """
    first = _checked(group)
    print(group.describe(), file=sys.stderr if check else sys.stdout, flush=True)
    if check:
        first.print_notes(sys.stderr)
        check_model_and_images(first.recipe)
        print(first.recipe.to_yaml(), end="")
        return 0
    with group.claimed() as claimed:
        return _train_all(claimed, train)


def _checked(group: Group) -> Plan:
    """Check the recipes of all runs that have not begun, and the models of those that differ; return the first run.

    With changed settings those of runs that have begun are checked too: nothing of a change that one of them refuses is
    recorded, or runs that are added later would have it.
    """
    new = [name for name in group.names if not checkpoints_in(group.folder / name)]
    begun = [name for name in group.names if group.changes and name not in new and not _ended_early(group, name)]
    plans: dict[str, Plan] = {}
    for name in begun:
        with _named(name):
            plans[name] = plan_run(**group.options(name))
    for name in new:
        plans[name] = plan_run(**group.options(name))
        if name in points_apart_from_seed(group.grid):
            with _named(name):
                check_model(plans[name].recipe)
    shown = (new or group.names)[0]
    first = plans.get(shown) or plan_run(**group.options(shown))
    refuse_several(first.recipe.trainer, "a group of runs")
    return first


def _train_all(group: Group, train: Train) -> int:
    """Train one run after another; a signal ends the group, any other early end only its run."""
    files, endings = GroupFolder(group.folder), dict[str, str]()
    for number, name in enumerate(group.names, 1):
        folder = group.folder / name
        print(f"\nrun {number} of {len(group.names)}: {name}", flush=True)
        if _ended_early(group, name):
            endings[name] = f"ended early before; {_alone(folder)}"
            print(f"not resumed: {endings[name]}", flush=True)
            continue
        try:
            code = _train_one(group, name, train)
        except UserError as error:
            raise UserError(
                f"{name}: {error}\nthe others: python -m zoo.fit resume={shell_word(group.folder)}"
            ) from error
        except Exception:  # such as memory that one run of a grid lacks: the others go on
            traceback.print_exc()
            endings[name] = "ended with an error, above; the next resume of the group tries it again"
            continue
        if code >= SIGNALLED:
            print(f"the group stops here; go on with: python -m zoo.fit resume={shell_word(group.folder)}", flush=True)
            return code
        files.record_end(name, code)
        if code:
            endings[name] = f"ended early, above; {_alone(folder)}"
    print("\n" + _summary(group, endings), flush=True)
    return ENDED_EARLY if endings else 0


@contextmanager
def _named(run: str) -> Iterator[None]:
    """Put the name of a run before a fault that is found in the block."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{run}: {error}") from error


def _ended_early(group: Group, name: str) -> bool:
    """Return whether a run ended before its length, so that a resume of the group passes it over."""
    return GroupFolder(group.folder).codes().get(name) == ENDED_EARLY and not _is_finished(group.folder / name)


def _train_one(group: Group, name: str, train: Train) -> int:
    """Plan, claim and train one run."""
    with plan_run(**group.options(name)).claimed() as plan:
        plan.print_notes()
        return train(plan)


def _alone(folder: Path) -> str:
    """Return how to go on with a run that ended early, if it left a checkpoint."""
    if not checkpoints_in(folder):
        return "it had written no checkpoint"
    return f"to go on with it alone: python -m zoo.fit resume={shell_word(folder)}"


def _is_finished(folder: Path) -> bool:
    """Return whether a run that ended early once has reached its length since, by a resume of its own."""
    checkpoints = checkpoints_in(folder)
    if not checkpoints:
        return False
    plan = plan_run(None, resume=checkpoints[0])
    return finished_line(folder, checkpoints[0], plan.recipe.images) is not None


def _summary(group: Group, endings: dict[str, str]) -> str:
    """Return how many runs have all their images, how the others ended, and how to compare them."""
    count = len(group.names)
    lines = [f"{count - len(endings)} of {count} runs have all their images"]
    lines += [f"  {name}: {ending}" for name, ending in endings.items()]
    return "\n".join([*lines, f"compare them: python -m zoo.compare {shell_word(group.folder)}"])
