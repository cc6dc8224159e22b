"""Resampling fused with a convolution, compared with the two operations in sequence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad
from torch.utils._python_dispatch import TorchDispatchMode

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


class Types(TorchDispatchMode):
    """Keeps the types of maps that are convolved channel by channel, in forward and backward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[torch.dtype] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note a convolution and carry it out."""
        if function is torch.ops.aten.convolution.default:
            self.found.append(args[0].dtype)
        if function is torch.ops.aten.convolution_backward.default:
            self.found.append(args[1].dtype)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("kind", [BilinearDoubling, BilinearHalving])
def test_bilinear_layers_compute_in_float32_what_processors_compute_slowly_in_bf16(kind: type, autocast: bool) -> None:
    """Values and derivatives of both orders are those of float32, rounded to bf16 once."""
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).bfloat16()
    found = []
    with Types() as types:
        for layer, exact in ((kind(3), True), (kind(3) if autocast else kind(3).bfloat16(), False)):
            maps = (x.float() if exact or autocast else x).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast and not exact):
                y = layer(maps)
            assert y.dtype == (torch.float32 if exact else torch.bfloat16)
            (slope,) = torch.autograd.grad(y.float().pow(3).sum(), maps, create_graph=True)
            slope.square().sum().backward()
            found.append((y, slope, maps.grad))
    assert {*types.found} == {torch.float32}
    assert len(types.found) >= 6
    for precise, rounded in zip(*found):
        bound = 2**-5 * float(precise.detach().abs().max())
        torch.testing.assert_close(rounded.float(), precise, rtol=0, atol=bound)
    torch.testing.assert_close(found[1][0], found[0][0].bfloat16(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", [BilinearDoubling, BilinearHalving])
def test_bilinear_layers_have_derivatives_of_both_orders_and_nothing_to_store(kind: type) -> None:
    layer = kind(3).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))
    assert layer.state_dict() == {}
    exact = kind(3).bfloat16().kernel.double()
    torch.testing.assert_close(exact, layer.kernel, rtol=0, atol=0)
