"""Running means of loss terms: accumulated on the device, read by the host only when they are logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.layers.wrappers import plain_names

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

    def tensors(self, over_processes: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, Tensor]:
        """Return the mean of every term, on the device; nothing waits for it.

        Args:
            over_processes: a function that averages a tensor over all training processes; it is called once.
        """
        return dict(zip(self._sums, self._stacked(over_processes).unbind())) if self._sums else {}

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
        values = dict(zip(self._sums, self._stacked(over_processes).tolist()))
        bad = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise NonFiniteLossError(f"a loss is not finite: {', '.join(bad)}. {REMEDIES}")
        return values

    def _stacked(self, over_processes: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the means of all terms (T,), of which there is at least one, in their order."""
        return over_processes(torch.stack([total / count for total, count in self._sums.values()]))

    def clear(self) -> None:
        """Discard all rounds so far."""
        self._sums = {}

    def state(self, over_processes: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, list[float]]:
        """Return sum and number of rounds of each term as plain numbers, for a checkpoint.

        Args:
            over_processes: a function that averages a tensor over all training processes.
        """
        if not self._sums:
            return {}
        totals = over_processes(torch.stack([total for total, _ in self._sums.values()])).tolist()
        return {name: [total, count] for (name, (_, count)), total in zip(self._sums.items(), totals)}

    def load(self, state: dict[str, list[float]], device: torch.device) -> None:
        """Continue from a `state`, so that the next mean is over the same rounds as without an interruption."""
        self._sums = {name: (torch.tensor(total, device=device), count) for name, (total, count) in state.items()}


def assert_finite(tensors: dict[str, Tensor], over_processes: Callable[[Tensor], Tensor] = lambda t: t) -> None:
    """Check that all tensors are finite; the host waits for the device once.

    Args:
        tensors: weights and other tensors, by name.
        over_processes: a function that averages a tensor over all training processes. All of them raise if one does.

    Raises:
        NonFiniteLossError: naming the first three that are not.
    """
    if not tensors:
        return
    device = next(iter(tensors.values())).device
    flags = torch.stack([tensor.isfinite().all().logical_not().to(device) for tensor in tensors.values()]).float()
    bad = [name for name, share in zip(tensors, over_processes(flags).tolist()) if share > 0]
    if bad:
        more = " and more" if len(bad) > 3 else ""
        raise NonFiniteLossError(f"weights are not finite: {', '.join(bad[:3])}{more}. {REMEDIES}")


def saved_tensors(model: nn.Module, optimizers: Iterable[Optimizer], leave_out: Collection[str]) -> dict[str, Tensor]:
    """Return all tensors that a checkpoint holds, by names to report: weights, buffers, and states of the optimizers.

    Args:
        model: the model.
        optimizers: the optimizers of its players.
        leave_out: names of entries of the state dict that are left out.
    """
    state = {name: x for name, x in model.state_dict().items() if name not in leave_out}
    for number, optimizer in enumerate(optimizers):
        for i, moments in enumerate(optimizer.state.values()):
            state |= {f"{name} {i} of optimizer {number}": x for name, x in moments.items()}
    return {name: x for name, x in state.items() if isinstance(x, Tensor)}


def infinite_buffers(model: nn.Module) -> frozenset[str]:
    """Return the names of buffers that are not finite before training begins, such as masks of attention."""
    buffers = dict(model.named_buffers())
    plain = plain_names(model, buffers)  # as in the state dict of a compiled network
    return frozenset(short for short, name in plain.items() if not bool(buffers[name].isfinite().all()))
