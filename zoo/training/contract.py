"""What a variant promises the loop, held against what it gives: cheap, and asked every time."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo.errors import UserError
from zoo.training.batch import Batch


def check_terms(terms: object, whose: str) -> None:
    """Whether this is what a player's loss must be.

    Raises:
        UserError: saying what it is instead.
    """
    if not isinstance(terms, dict):
        what = "nothing; does it end with return?" if terms is None else f"a {type(terms).__name__}"
        raise UserError(f'{whose} must return a dict of named terms, such as {{"adversarial": loss}}; got {what}')
    for name, term in terms.items():
        if not isinstance(term, Tensor):
            raise UserError(f"{whose}: the term {name!r} must be a tensor; got {term!r}")
        if term.ndim:
            raise UserError(f"{whose}: the term {name!r} must be one number; got {tuple(term.shape)}. Add .mean()")


def scored(model: Any, batch: Batch) -> Tensor:
    """What `model.score` says: one logit (B,) for each image. (B, 1) would broadcast to something else in silence.

    Raises:
        UserError: for any other shape.
    """
    scores: Tensor = model.score(batch)
    if scores.shape != (len(batch),):
        raise UserError(
            f"{type(model).__name__}.score must give one logit for each image, ({len(batch)},); got "
            f"{tuple(scores.shape)}. For ({len(batch)}, 1), add .flatten()"
        )
    return scores
