"""Work that rank 0 does for all processes of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from pytorch_lightning import Trainer

from zoo.errors import FeatureError, UserError

T = TypeVar("T")


def run_on_rank_zero(trainer: Trainer, work: Callable[[], T]) -> T:
    """Call a function on rank 0 and return its result on all ranks.

    Args:
        trainer: the trainer.
        work: function to call.

    Raises:
        FeatureError: on all ranks, if the function raised a UserError or an OSError; with the same text.
    """
    outcome: tuple[Any, str | None] = (None, None)
    if trainer.is_global_zero:
        try:
            outcome = work(), None
        except (UserError, OSError) as error:
            outcome = None, str(error)
    result, fault = trainer.strategy.broadcast(outcome)
    if fault is not None:
        raise FeatureError(fault)
    return cast("T", result)
