"""Loss terms on their way to the log: summed on the device, read by the host only when they are logged."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

REMEDIES = "Usual remedies: a smaller learning rate, model.clip_norm=1, trainer.precision=32-true"


class NonFiniteLossError(RuntimeError):
    """A loss or a weight became infinite or not a number; training on would only spread it."""


class RunningTerms:
    """The mean of each named term over the rounds since the last `clear`."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(self, name: str, value: Tensor, rounds: float) -> None:
        """Add a detached scalar that stands for `rounds` of a round: 1, or less for one of several micro-batches."""
        total, count = self._sums.get(name, (torch.zeros_like(value), 0.0))
        self._sums[name] = (total + value, count + rounds)

    def means(self, over_processes: Callable[[Tensor], Tensor] = lambda mine: mine) -> dict[str, float]:
        """Every term's mean; the one place where training waits for the device.

        Args:
            over_processes: the mean of a tensor over all processes that train together. What is not finite in one of
                them is not finite in the mean, so all of them raise.

        Raises:
            NonFiniteLossError: when one is not finite. A sum hides no round that was not.
        """
        if not self._sums:
            return {}
        means = over_processes(torch.stack([total / count for total, count in self._sums.values()])).tolist()
        values = dict(zip(self._sums, means))
        bad = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise NonFiniteLossError(f"a loss is not finite: {', '.join(bad)}. {REMEDIES}")
        return values

    def clear(self) -> None:
        """Forget all rounds so far."""
        self._sums = {}


def assert_finite(weights: dict[str, Tensor]) -> None:
    """Check weights by name.

    Raises:
        NonFiniteLossError: naming those that are not finite.
    """
    bad = [name for name, weight in weights.items() if not bool(weight.isfinite().all())]
    if bad:
        more = " and more" if len(bad) > 3 else ""
        raise NonFiniteLossError(f"weights are not finite: {', '.join(bad[:3])}{more}. {REMEDIES}")
