"""Rectifiers without a second derivative.

ReLU and leaky ReLU are linear wherever they have a derivative, so the derivative of their slope is 0. torch computes
with this 0: the backward pass of a gradient penalty carries a gradient of zeros through every layer below, at the cost
of two of its six convolutions. Here there is no gradient instead, which autograd skips. All values are the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """Return `max(x, 0)`, element by element."""
    if not _needs_graph(x):
        return functional.relu(x, inplace)
    result: Tensor = _Rectifier.apply(x, 0.0, inplace)
    return result


def leaky_relu(x: Tensor, slope: float = 0.2, inplace: bool = False) -> Tensor:
    """Return x where it is positive, else `slope * x`, element by element.

    Args:
        x: any tensor.
        slope: positive slope below 0.
        inplace: whether to write the result into x.
    """
    if not _needs_graph(x):
        return functional.leaky_relu(x, slope, inplace)
    result: Tensor = _Rectifier.apply(x, slope, inplace)
    return result


class ReLU(nn.ReLU):
    """Layer `torch.nn.ReLU` without a second derivative."""

    def forward(self, input: Tensor) -> Tensor:
        """Rectify a tensor of any shape."""
        return relu(input, self.inplace)


class LeakyReLU(nn.LeakyReLU):
    """Layer `torch.nn.LeakyReLU` without a second derivative; its slope must be positive."""

    def forward(self, input: Tensor) -> Tensor:
        """Rectify a tensor of any shape."""
        return leaky_relu(input, self.negative_slope, self.inplace)


def _needs_graph(x: Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad and not torch.compiler.is_compiling()


class _Rectifier(torch.autograd.Function):
    """A rectifier; only its result is kept, whose sign is that of the argument."""

    @staticmethod
    def forward(x: Tensor, slope: float, inplace: bool) -> Tensor:
        return functional.leaky_relu(x, slope, inplace) if slope else functional.relu(x, inplace)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.slope, inplace = inputs
        if inplace:
            ctx.mark_dirty(x)
        ctx.save_for_backward(output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None, None]:
        return _times_slope(gradient, ctx), None, None


class _Slope(torch.autograd.Function):
    """The product with the slope of a rectifier, which is linear in the gradient and constant in all else."""

    @staticmethod
    def forward(gradient: Tensor, result: Tensor, slope: float) -> Tensor:
        if gradient.stride() != result.stride():  # torch takes 10 to 30 times as long for two memory formats at once
            gradient = torch.empty_like(result, dtype=gradient.dtype).copy_(gradient)
        if slope:
            return torch.ops.aten.leaky_relu_backward(gradient, result, slope, True)  # type: ignore[no-any-return]
        return torch.ops.aten.threshold_backward(gradient, result, 0)  # type: ignore[no-any-return]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, result, ctx.slope = inputs
        ctx.save_for_backward(result)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None, None]:
        return _times_slope(gradient, ctx), None, None


def _times_slope(gradient: Tensor | None, ctx: Any) -> Tensor | None:
    """Return a gradient times the slope of a rectifier, with a graph if a further derivative may be taken."""
    if gradient is None:
        return None
    (result,) = ctx.saved_tensors
    if not torch.is_grad_enabled():
        return _Slope.forward(gradient, result, ctx.slope)
    product: Tensor = _Slope.apply(gradient, result.detach(), ctx.slope)
    return product
