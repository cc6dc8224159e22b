"""Rectifiers without a second derivative."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from zoo.layers.rectifier import LeakyReLU, ReLU, leaky_relu, relu

PAIRS: dict[str, tuple[Any, Any]] = {
    "relu": (relu, functional.relu),
    "leaky": (lambda x: leaky_relu(x, 0.1), lambda x: functional.leaky_relu(x, 0.1)),
    "relu in place": (lambda x: relu(x * 1, inplace=True), functional.relu),
    "leaky in place": (lambda x: leaky_relu(x * 1, 0.1, inplace=True), lambda x: functional.leaky_relu(x, 0.1)),
    "layer": (ReLU(), nn.ReLU()),
    "leaky layer": (LeakyReLU(0.1), nn.LeakyReLU(0.1)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_and_derivatives_are_torchs_to_the_last_bit(name: str) -> None:
    ours, torchs = PAIRS[name]
    x = torch.randn(3, 4, 5, requires_grad=True)
    with torch.no_grad():
        x[0] = 0.0  # where the slope is that of the negative side
    weight = torch.randn(5, 5, requires_grad=True)

    def derivatives(rectify: Any) -> list[Tensor]:
        y = rectify(x @ weight)
        (gradient,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        return [y, gradient, *torch.autograd.grad(gradient.square().sum(), [x, weight])]

    assert all(torch.equal(a, b) for a, b in zip(derivatives(ours), derivatives(torchs), strict=True))
    with torch.no_grad():
        assert torch.equal(ours(x), torchs(x))
    exact = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(ours, (exact,))
    assert gradgradcheck(ours, (exact,))


def test_nothing_flows_back_where_the_second_derivative_is_zero() -> None:
    """The gradient of a rectified linear map does not depend on its input, so that one gets none instead of zeros."""
    x = torch.randn(4, 3, requires_grad=True)
    weight = torch.randn(3, 3, requires_grad=True)
    for rectify, gets in ((relu, False), (functional.relu, True)):
        (gradient,) = torch.autograd.grad(rectify(x @ weight).sum(), x, create_graph=True)
        (by_x,) = torch.autograd.grad(gradient.square().sum(), x, allow_unused=True)
        assert (by_x is not None) == gets


@pytest.mark.parametrize("rectify", [relu, leaky_relu])
def test_a_gradient_in_another_memory_format_gets_that_of_the_maps(rectify: Any) -> None:
    """As behind a layer that flattens maps in channels_last; torch's own is slow there, and so is what follows."""
    maps = torch.randn(3, 4, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn(3, 4, 5, 5)
    (found,) = torch.autograd.grad(rectify(maps), maps, gradient)
    same = torch.autograd.grad(rectify(maps), maps, gradient.to(memory_format=torch.channels_last))[0]
    assert torch.equal(found, same)
    assert found.is_contiguous(memory_format=torch.channels_last)
