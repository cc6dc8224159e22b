"""Learning rates of the parameter groups of a player's optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from lightning_utilities.core.rank_zero import rank_zero_warn
from torch.optim import Optimizer

from zoo.training.player import Player


def shares_of_groups(optimizer: Optimizer, player: Player, whose: str) -> list[float]:
    """Return the learning rate of each parameter group, as a share of that of the optimizer.

    The loop sets all of them in every round: to the player's, times the schedule, times these shares. It warns of an
    optimizer with a learning rate of its own, which would have no effect.

    Args:
        optimizer: what `configure_optimizer` returned.
        player: its player.
        whose: name of the model's class, for the warning.
    """
    own = float(optimizer.defaults.get("lr") or player.lr)
    if own != player.lr:
        rank_zero_warn(
            f"{whose}.configure_optimizer gave the player {player.name!r} an optimizer with lr={own:g}, which has no "
            f"effect: the loop sets the player's, {player.lr:g} times the schedule. Give lr=player.lr to the optimizer "
            "and the rate to the model; that of a parameter group is kept as a share of the optimizer's"
        )
    return [float(group["lr"]) / own if own else 1.0 for group in optimizer.param_groups]


def set_learning_rate(optimizer: Optimizer, shares: Sequence[float], rate: float) -> None:
    """Set the learning rate of each parameter group to its share of `rate`; groups that were added later have all."""
    for group, share in zip_longest(optimizer.param_groups, shares, fillvalue=1.0):
        group["lr"] = rate * share  # type: ignore[index]
