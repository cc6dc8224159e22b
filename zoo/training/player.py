"""A player of the two-player game, as the training loop steps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from zoo.training.batch import Batch
from zoo.training.objectives import Terms

Loss = Callable[[Batch, Batch], Terms]
"""A function from a batch of real and one of generated images to named, weighted terms."""


@dataclass(frozen=True)
class Player:
    """One side of the game: a network, its loss, and how often it moves.

    Args:
        name: prefix of the player's logged terms, as in `d/adversarial`.
        network: module whose parameters the player's optimizer updates.
        loss: function from a batch of real and one of generated images to named, weighted terms, whose sum is
            minimised.
        lr: learning rate before the schedule is applied.
        every: number of rounds from one turn of the player to the next.
        moves: optimizer steps in each turn, all on the same real images, each with new generated ones.
        fakes: generated images in the player's loss for each real image.
        real_labels: whether the generated images have the classes of the real ones, or classes drawn for them.
    """

    name: str
    network: nn.Module
    loss: Loss
    lr: float
    every: int = 1
    moves: int = 1
    fakes: int = 1
    real_labels: bool = False
