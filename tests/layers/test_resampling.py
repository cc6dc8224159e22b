"""Resampling fused with a convolution, compared with the two operations in sequence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from zoo.layers.resampling import DoublingConvolution, HalvingConvolution


def in_two_steps(layer: DoublingConvolution | HalvingConvolution, x: Tensor) -> Tensor:
    if isinstance(layer, DoublingConvolution):
        return conv2d(interpolate(x, scale_factor=2.0), layer.weight, layer.bias, padding=1)
    return avg_pool2d(conv2d(x, layer.weight, layer.bias, padding=1), 2)


@pytest.mark.parametrize("kind", [DoublingConvolution, HalvingConvolution])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_derivatives_of_both_orders_are_those_of_the_two_steps(kind: type, bias: bool) -> None:
    layer = kind(3, 4, bias=bias).double()
    found = []
    for function in (layer, lambda x: in_two_steps(layer, x)):
        x = torch.randn(2, 3, 6, 8, dtype=torch.double, generator=torch.Generator().manual_seed(1)).requires_grad_()
        y = function(x)
        (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(slope.square().sum(), layer.weight)
        found.append((y, slope, second))
    for merged, apart in zip(*found):
        torch.testing.assert_close(merged, apart)


def test_weights_have_the_shape_and_number_of_a_3x3_convolution() -> None:
    for kind in (DoublingConvolution, HalvingConvolution):
        assert [tuple(p.shape) for p in kind(3, 4).parameters()] == [(4, 3, 3, 3), (4,)]
        assert kind(3, 4, bias=False).bias is None
