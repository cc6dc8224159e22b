"""Resampling fused with a convolution, compared with the two operations in sequence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from zoo.layers.resampling import BilinearDoubling, BilinearHalving, DoublingConvolution, HalvingConvolution


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


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 4, 6), (1, 5, 16, 8)])
def test_bilinear_doubling_is_torchs_interpolation_of_maps_with_a_border_of_zeros(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    expected = interpolate(pad(x, (1,) * 4), scale_factor=2.0, mode="bilinear")[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(BilinearDoubling(shape[1]).double()(x), expected)


def test_bilinear_halving_by_hand() -> None:
    """Of a row 1, 2, 3, 4 with zeros outside: (3 * 1 + 3 * 2 + 3) / 8 and (2 + 3 * 3 + 3 * 4) / 8."""
    row = torch.tensor([1.0, 2.0, 3.0, 4.0])
    along = torch.tensor([12.0, 23.0]) / 8
    halved = BilinearHalving(2)(torch.outer(row, row).expand(1, 2, 4, 4))
    torch.testing.assert_close(halved, torch.outer(along, along).expand(1, 2, 2, 2))


def test_bilinear_halving_is_a_quarter_of_the_transpose_of_doubling() -> None:
    x, y = torch.randn(2, 3, 4, 6).double(), torch.randn(2, 3, 8, 12).double()
    doubling, halving = BilinearDoubling(3).double(), BilinearHalving(3).double()
    torch.testing.assert_close((doubling(x) * y).sum(), 4 * (x * halving(y)).sum())


@pytest.mark.parametrize("kind", [BilinearDoubling, BilinearHalving])
def test_bilinear_layers_have_derivatives_of_both_orders_and_nothing_to_store(kind: type) -> None:
    layer = kind(3).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))
    assert layer.state_dict() == {}
    exact = kind(3).bfloat16().kernel.double()
    torch.testing.assert_close(exact, layer.kernel, rtol=0, atol=0)
