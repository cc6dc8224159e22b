#!/usr/bin/env bash
# Library: torch 2.15.0, autograd.
# Likely guess: ReLU is linear on either side of 0, so the second derivative of a network of convolutions and ReLUs, as in
#   a gradient penalty, costs one convolution and one gradient by the weight for each layer, and nothing flows back
#   through the layers' first pass.
# Behaviour: the gradient by the input of a ReLU's derivative is a tensor of zeros, not an absent gradient, and the
#   backward passes of all convolutions below are computed with it. With x.clamp_min(0) there is none, and the gradients
#   by the weights are the same to the last bit.
# Output seen:
#   with ReLU: 5 backward passes of convolutions on zeros; with clamp_min(0): 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Zeros(TorchDispatchMode):
    """Counts the backward passes of convolutions whose incoming gradient is zero everywhere."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution_backward.default:
            self.count += not bool(args[0].any())
        return function(*args, **(kwargs or {}))


def penalty(rectify):
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(4, 4, 3, padding=1) for _ in range(6)]
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    y = x
    for layer in layers[:-1]:
        y = rectify(layer(y))
    (gradient,) = torch.autograd.grad(layers[-1](y).sum(), x, create_graph=True)
    with Zeros() as zeros:
        gradient.square().sum().backward()
    return zeros.count, [layer.weight.grad for layer in layers]


relu, by_relu = penalty(torch.relu)
clamp, by_clamp = penalty(lambda y: y.clamp_min(0))
print(f"with ReLU: {relu} backward passes of convolutions on zeros; with clamp_min(0): {clamp}")
assert all(torch.equal(a, b) for a, b in zip(by_relu, by_clamp))
assert (relu, clamp) == (5, 0)
PYTHON
