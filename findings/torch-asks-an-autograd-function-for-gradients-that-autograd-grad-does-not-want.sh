#!/usr/bin/env bash
# Library: torch 2.15.0, autograd.
# Likely guess: in the backward pass of an autograd.Function, ctx.needs_input_grad says which gradients are asked for, so
#   that a convolution written as such a function costs no more than torch's own when torch.autograd.grad(y, x) asks for
#   the gradient by the maps alone, as every gradient penalty does.
# Behaviour: it says which inputs require a gradient, whatever was asked for. torch's own convolution is told that the
#   weight's gradient is not wanted and leaves it out; a function is not told, computes it, and it is thrown away.
# Output seen:
#   asked for the gradient by the maps: torch's convolution computes [True, False, False], the function [True, True]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Masks(TorchDispatchMode):
    """Records which gradients torch's own convolution computes: by maps, weight and bias."""

    seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution_backward.default:
            self.seen.append(list(args[-1]))
        return function(*args, **(kwargs or {}))


class Convolution(torch.autograd.Function):
    asked = []

    @staticmethod
    def forward(x, weight):
        return torch.nn.functional.conv2d(x, weight)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient):
        Convolution.asked.append(list(ctx.needs_input_grad))
        x, weight = ctx.saved_tensors
        by_x = torch.nn.grad.conv2d_input(x.shape, weight, gradient)
        return by_x, torch.nn.grad.conv2d_weight(x, weight.shape, gradient)


x = torch.randn(1, 2, 5, 5, requires_grad=True)
weight = torch.randn(2, 2, 3, 3, requires_grad=True)
with Masks() as masks:
    torch.autograd.grad(torch.nn.functional.conv2d(x, weight).sum(), x)
torch.autograd.grad(Convolution.apply(x, weight).sum(), x)
(own,), (function,) = masks.seen, Convolution.asked
print(f"asked for the gradient by the maps: torch's convolution computes {own}, the function {function}")
assert own == [True, False, False]
assert function == [True, True]
PYTHON
