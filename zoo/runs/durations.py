"""Check whether a run can be planned by hours, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zoo.errors import UserError

PHOTOS = "photos"
"""Name of the recipe that is planned from the images and a measurement, see `zoo.runs.photos`."""


def check_hours(hours: float, overrides: Mapping[str, Any]) -> None:
    """Check that a run can be planned by hours.

    Raises:
        UserError: for a time that is no positive number, or beside `images`.
    """
    if isinstance(hours, bool) or not 0 < hours < math.inf:
        raise UserError(f"hours: the length of the run in hours, larger than 0; got {hours}")
    if "images" in overrides:
        raise UserError(
            f"hours={hours:g} and images={overrides['images']} both set the length of the run. Give one of them"
        )


def refuse_group_of_plan(recipe: Any, hours: float | None) -> None:
    """Check that a group of runs is not planned by hours, nor of the recipe that is planned by itself.

    Args:
        recipe: name or path of the recipe.
        hours: length of a run in hours, or None.

    Raises:
        UserError: if it is.
    """
    if str(recipe) == PHOTOS:
        raise UserError(
            "recipe=photos plans one run, as the speed is measured; the runs of a group are to have one plan. Write it "
            "down and give it as the recipe: python -m zoo.fit recipe=photos data.root=FOLDER check=true > mine.yaml, "
            "then recipe=mine.yaml"
        )
    if hours is not None:
        raise UserError(
            f"hours={hours:g} plans one run, as the speed is measured; the runs of a group are to be equally long. "
            "Give images=NUMBER instead; a run with hours= alone prints the number for this machine"
        )


def refuse_hours_of_resumed(hours: float | None, resume: Any) -> None:
    """Check that a run is not planned anew when it is resumed; with `resume=auto` the plan is for a new run.

    Raises:
        UserError: if it is.
    """
    if hours is not None and resume is not None and str(resume) != "auto":
        raise UserError(
            f"hours={hours:g} plans a new run; a resumed run keeps its length. Leave hours= out, or give images=NUMBER "
            "for another length"
        )
