"""Running means of loss terms: accumulated on the device, read by the host only when they are logged."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

REMEDIES = "Usual remedies: a smaller learning rate, model.clip_norm=1, trainer.precision=32-true"


class NonFiniteLossError(RuntimeError):
    """Error for a loss or weight that became infinite or NaN; further training would only spread it."""


class RunningTerms:
    """Mean of each named loss term over the rounds since the last `clear`."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._sums)

    def add(self, name: str, value: Tensor, rounds: float) -> None:
        """Add the value of a term.

        Args:
            name: name of the term, such as `d/adversarial`.
            value: detached scalar.
            rounds: rounds that the value accounts for: 1, or a fraction for one of several micro-batches.
        """
        total, count = self._sums.get(name, (torch.zeros_like(value), 0.0))
        self._sums[name] = (total + value, count + rounds)

    def tensors(self) -> dict[str, Tensor]:
        """Return the mean of every term in this process, on the device; nothing waits for it."""
        return {name: total / count for name, (total, count) in self._sums.items()}

    def means(self, over_processes: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, float]:
        """Return the mean of every term. This is the only call for which training waits for the device.

        Args:
            over_processes: a function that averages a tensor over all training processes. A value that is not finite
                in one process is not finite in the mean, so all of them raise.

        Raises:
            NonFiniteLossError: when a mean is not finite, which it is if any round's value was not.
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
        """Discard all rounds so far."""
        self._sums = {}


def assert_finite(weights: dict[str, Tensor]) -> None:
    """Check that all weights are finite.

    Raises:
        NonFiniteLossError: naming the first three that are not.
    """
    bad = [name for name, weight in weights.items() if not bool(weight.isfinite().all())]
    if bad:
        more = " and more" if len(bad) > 3 else ""
        raise NonFiniteLossError(f"weights are not finite: {', '.join(bad[:3])}{more}. {REMEDIES}")
