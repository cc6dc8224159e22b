"""Batches joined over processes: layers that couple the images of a batch then couple those of all processes.

Batch norm sees the means and variances of the joined batch, in the forward pass, in the backward pass and in that of a
gradient penalty. `torch.nn.SyncBatchNorm` needs GPUs and has no second derivative.

Each process differentiates its own loss, and the gradients are then averaged over processes. So the loss of the joined
batch is the mean of the losses of all processes, and what a sum over processes was computed from gets the sum of the
gradients that the processes have for this sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_state = {"joined": False}


@contextmanager
def joined_batches(joined: bool = True) -> Iterator[None]:
    """Join the batches of all processes within a block, which all processes must enter.

    Outside of such a block every layer sees the batch of its own process: what one process computes alone, such as
    samples, would otherwise wait for the others for ever.

    Args:
        joined: whether to join them; False changes nothing.
    """
    before = _state["joined"]
    _state["joined"] = before or joined
    try:
        yield
    finally:
        _state["joined"] = before


def is_joined() -> bool:
    """Return whether the batches of all processes are joined at the moment."""
    return _state["joined"]


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over processes. It is its own adjoint, so it has derivatives of any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Add up what all processes have."""
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Add up the gradients that all processes have for the sum."""
        total: Tensor = _SumOverProcesses.apply(gradient)
        return total


def sum_over_processes(x: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, with gradients of any order; `x` itself outside joined batches."""
    total: Tensor = _SumOverProcesses.apply(x) if is_joined() else x
    return total


def mean_over_processes(x: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes, with gradients; `x` itself outside joined batches."""
    return sum_over_processes(x) / dist.get_world_size() if is_joined() else x


def rows_of_all(rows: Tensor) -> Tensor:
    """Return the rows of all processes, those of rank 0 first, with gradients of any order.

    For layers and losses that compare the images of a batch. A process that computes the loss of all rows from them
    contributes the same as the others, and the mean over processes is again that loss.

    Args:
        rows: the rows of this process, (B, ...), of an equal B in all processes.

    Returns:
        (processes * B, ...); `rows` itself outside joined batches.
    """
    if not is_joined():
        return rows
    before, after = own_place(len(rows)).start, (dist.get_world_size() - 1 - dist.get_rank()) * len(rows)
    zeros = [rows.new_zeros(n, *rows.shape[1:]) for n in (before, after)]
    return sum_over_processes(torch.cat([zeros[0], rows, zeros[1]]))


def own_place(count: int) -> slice:
    """Return the place of this process's `count` rows among those of `rows_of_all`."""
    first = dist.get_rank() * count if is_joined() else 0
    return slice(first, first + count)


# --- batch norm ------------------------------------------------------------------------------------------------------


class SynchronisedBatchNorm(_BatchNorm):
    """Batch norm of the joined batch. `synchronise` makes it a base class of the batch norms of a network."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...) by the statistics of all processes where batches are joined, else as ever."""
        if not (is_joined() and (self.training or self.running_mean is None)):
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        y, mean, variance, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        if self.training and self.running_mean is not None:
            self._move_statistics(mean, variance * (count / (count - 1)))
        normalised: Tensor = y
        return normalised

    @torch.no_grad()
    def _move_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards the mean and the unbiased variance of a batch."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share: Any = 1 / self.num_batches_tracked.to(mean.dtype) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class _Normalise(torch.autograd.Function):
    """Normalisation by the statistics of the joined batch, at the cost of torch's own and one exchange each way."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the normalised tensor, and mean (C,), biased variance (C,) and count of the joined batch."""
        channels, wide = x.shape[1], torch.promote_types(x.dtype, torch.float32)
        gain = torch.ones(channels, dtype=wide, device=x.device) if weight is None else weight
        offset = torch.zeros_like(gain) if bias is None else bias
        own = torch.batch_norm_update_stats(x, torch.zeros_like(gain), torch.ones_like(gain), 0.1)
        number = torch.full((1,), x.numel() // channels, dtype=wide, device=x.device)
        # The statistics of all processes side by side: their combination loses no digits, unlike sums of squares.
        table = torch.zeros(dist.get_world_size(), 2 * channels + 1, dtype=wide, device=x.device)
        table[dist.get_rank()] = torch.cat([*(each.to(wide) for each in own), number])
        dist.all_reduce(table)
        means, variances, counts = torch.split(table, [channels, channels, 1], dim=1)
        count = counts.sum()
        share = counts / count
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean).square())).sum(0)
        y = torch.native_batch_norm(x, gain, offset, mean.to(gain.dtype), variance.to(gain.dtype), False, 0.0, eps)[0]
        ctx.save_for_backward(x, gain, mean, variance, count)
        ctx.eps, ctx.has = eps, (weight is not None, bias is not None)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        """Return the gradients by the input, the gain and the offset; the last two are those of this process."""
        compute = _differentiable_gradients if torch.is_grad_enabled() else _gradients
        x, gain, mean, variance, count = ctx.saved_tensors
        by_input, by_gain, by_offset = compute(gradient, x, gain, mean, variance, count, ctx.eps)
        return by_input, by_gain if ctx.has[0] else None, by_offset if ctx.has[1] else None, None


def _gradients(
    gradient: Tensor, x: Tensor, gain: Tensor, mean: Tensor, variance: Tensor, count: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of `_Normalise` by x, gain and offset in as few passes over x as torch's own."""
    centre, spread = mean.to(gain.dtype), variance.to(gain.dtype)
    by_input, by_gain, by_offset = torch.ops.aten.native_batch_norm_backward(
        gradient, x, gain, centre, spread, centre, spread, False, eps, [True, True, True]
    )
    totals = torch.stack([by_gain, by_offset]).to(mean.dtype)
    dist.all_reduce(totals)
    # What mean and variance contribute is an affine function of x in every channel.
    inverse = (variance + eps).rsqrt()
    factor = -gain * inverse.square() * totals[0] / count
    constant = -gain * inverse * totals[1] / count - factor * mean
    shape = (1, -1, *[1] * (x.ndim - 2))
    by_input += torch.addcmul(constant.to(x.dtype).view(shape), x, factor.to(x.dtype).view(shape))
    return by_input, by_gain, by_offset


def _differentiable_gradients(
    gradient: Tensor, x: Tensor, gain: Tensor, _mean: Tensor, _variance: Tensor, count: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the same by operations that can be differentiated, as a gradient penalty needs them."""
    dims, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
    wide, outer = x.to(count.dtype), gradient.to(count.dtype)
    with joined_batches():  # the backward pass of a penalty may be outside
        centred = wide - (sum_over_processes(wide.sum(dims)) / count).view(shape)
        inverse = (sum_over_processes(centred.square().sum(dims)) / count + eps).rsqrt().view(shape)
        normalised = centred * inverse
        by_gain, by_offset = (outer * normalised).sum(dims), outer.sum(dims)
        totals = sum_over_processes(torch.stack([by_gain, by_offset])) / count
    rest = outer - totals[1].view(shape) - normalised * totals[0].view(shape)
    by_input = gain.view(shape) * inverse * rest
    return by_input.to(x.dtype), by_gain.to(gain.dtype), by_offset.to(gain.dtype)


@cache
def _with_base(norm: type[_BatchNorm]) -> type[_BatchNorm]:
    """Return a subclass of a batch norm's class, with its name, in which `SynchronisedBatchNorm` stands above torch's.

    So a class of a user's that calls `super().forward` gets the synchronised one.
    """
    return type(norm.__name__, (norm, SynchronisedBatchNorm), {"__module__": norm.__module__})


def synchronise(network: nn.Module) -> nn.Module:
    """Make all batch norms of a network normalise joined batches; their parameters, buffers and names stay."""
    for norm in network.modules():
        if isinstance(norm, _BatchNorm) and not isinstance(norm, SynchronisedBatchNorm | nn.SyncBatchNorm):
            norm.__class__ = _with_base(type(norm))  # type: ignore[arg-type]
    return network


def desynchronise(network: nn.Module) -> nn.Module:
    """Undo `synchronise`."""
    for norm in network.modules():
        if isinstance(norm, SynchronisedBatchNorm):
            norm.__class__ = type(norm).__bases__[0]
    return network
