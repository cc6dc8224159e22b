"""Sizes of an audit: `quick` for a first look, `standard` for a decision, `full` for a publication."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Budget:
    """Sizes of one audit. Each is an upper bound: where there are fewer images, all are used.

    Args:
        name: name of the budget on the command line.
        images: number of generated images, and largest number of held-out images.
        train: largest number of training images that nearest neighbours are searched among; 0 for all.
        recovered: number of images of each origin whose latents are recovered.
        recovery_steps: optimizer steps of each restart of a recovery.
        restarts: restarts of each recovery.
        walks: number of walks between two latents.
        walk_steps: number of images on each walk.
        fresh_steps: training steps of each fresh discriminator.
        fresh_widths: widths of the first layer of the fresh discriminators, one training for each.
        classifier_epochs: epochs of the classifier behind the classification accuracy score.
        repeats: number of random halves or resamplings behind an interval.
    """

    name: str
    images: int
    train: int
    recovered: int
    recovery_steps: int
    restarts: int
    walks: int
    walk_steps: int
    fresh_steps: int
    fresh_widths: tuple[int, ...]
    classifier_epochs: int
    repeats: int


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("quick", 1_000, 10_000, 8, 100, 2, 8, 16, 100, (8,), 3, 50),
        Budget("standard", 5_000, 50_000, 24, 200, 3, 32, 32, 300, (8, 16), 10, 200),
        Budget("full", 20_000, 0, 64, 500, 5, 128, 64, 1_500, (8, 16, 32, 64), 30, 1_000),
    )
}


def budget(name: str) -> Budget:
    """Return a budget by its name.

    Raises:
        UserError: for an unknown name.
    """
    if name not in BUDGETS:
        raise UserError(f"budget: quick, standard or full; got {name!r}.{did_you_mean(name, BUDGETS, lists=False)}")
    return BUDGETS[name]
