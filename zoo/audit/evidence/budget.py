"""How much an audit looks at: `quick` to glance, `standard` to decide, `full` to publish."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Budget:
    """Sizes of one audit. Every one is an upper bound: of fewer images, all are taken.

    Args:
        name: as on the command line.
        images: generated images, and at most as many held-out ones.
        train: training images that nearest neighbours are looked for among; 0 for all.
        recovered: images of each kind whose latents are recovered.
        recovery_steps: of the optimizer, for each restart.
        restarts: of each recovery.
        walks: between two latents.
        walk_steps: images on each walk.
        fresh_steps: of the training of each fresh discriminator.
        fresh_widths: of its first layer, one training for each.
        classifier_epochs: of the classification accuracy score.
        repeats: random halves or resamplings behind an interval.
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
    """A budget by its name.

    Raises:
        UserError: for an unknown name.
    """
    if name not in BUDGETS:
        raise UserError(f"budget: quick, standard or full; got {name!r}.{did_you_mean(name, BUDGETS)}")
    return BUDGETS[name]
