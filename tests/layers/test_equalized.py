"""Equalized learning rate: He's constant is applied at each use, not to the weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from zoo.layers.equalized import EqualizedConv2d, EqualizedDoublingConv2d, EqualizedLinear, scaled


def test_weights_start_as_standard_normal_whatever_the_fan_in_and_biases_at_zero() -> None:
    torch.manual_seed(0)
    for layer in (EqualizedConv2d(48, 64, 3), EqualizedConv2d(64, 512, 1), EqualizedLinear(100, 300)):
        assert layer.weight.mean().item() == pytest.approx(0.0, abs=0.03)
        assert layer.weight.std().item() == pytest.approx(1.0, abs=0.02)
        assert (layer.bias == 0).all()


def test_with_gain_one_unit_variance_stays_unit_variance() -> None:
    torch.manual_seed(0)
    linear = EqualizedLinear(200, 400, gain=1.0)(torch.randn(300, 200))
    assert linear.var().item() == pytest.approx(1.0, rel=0.03)
    convolution = EqualizedConv2d(32, 64, 3, gain=1.0)(torch.randn(16, 32, 10, 10))
    assert convolution.shape == (16, 64, 10, 10)
    assert convolution[:, :, 1:-1, 1:-1].var().item() == pytest.approx(1.0, rel=0.05)  # borders see zeros


def test_the_constant_is_gain_over_the_root_of_the_fan_in() -> None:
    assert EqualizedConv2d(6, 5, 3).scale == pytest.approx(math.sqrt(2 / (6 * 9)))
    assert EqualizedConv2d(6, 5, 1, gain=1.0).scale == pytest.approx(math.sqrt(1 / 6))
    assert EqualizedLinear(7, 5).scale == pytest.approx(math.sqrt(2 / 7))


def test_weights_are_multiplied_by_it_and_biases_are_not() -> None:
    torch.manual_seed(0)
    convolution, linear = EqualizedConv2d(3, 5, 3, gain=0.25), EqualizedLinear(6, 5, gain=0.25)
    for layer in (convolution, linear):
        nn.init.normal_(layer.bias)
    images, vectors = torch.randn(2, 3, 7, 7), torch.randn(2, 6)
    expected = torch.conv2d(images, convolution.weight, None, padding=1) * 0.25 / math.sqrt(27)
    torch.testing.assert_close(convolution(images), expected + convolution.bias[:, None, None])
    torch.testing.assert_close(linear(vectors), vectors @ linear.weight.T * 0.25 / math.sqrt(6) + linear.bias)
    assert torch.equal(linear(torch.zeros(1, 6))[0], linear.bias)


def test_one_step_of_adam_moves_layers_of_any_width_by_the_same_share() -> None:
    """With He's initialisation instead, the weights of the wide layer would move 16 times as far."""
    torch.manual_seed(0)
    shares = []
    for width in (4, 1024):
        layer = EqualizedLinear(width, 8)
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2, betas=(0.0, 0.99))
        layer(torch.randn(64, width)).square().mean().backward()
        optimizer.step()
        shares.append(((layer.weight - before).norm() / before.norm()).item())
    assert shares[0] == pytest.approx(shares[1], rel=0.3)


@pytest.mark.parametrize("size", [2, 40], ids=["few pixels", "more pixels than weights"])
def test_whichever_is_smaller_is_scaled_with_the_same_values(size: int) -> None:
    layer = EqualizedConv2d(3, 4, 3).double()
    x = torch.randn(2, 3, size, size, dtype=torch.double, requires_grad=True)
    small, weight = scaled(x, layer.weight, 0.5)
    assert (small is x) == (weight is not layer.weight) == (size == 40)
    y, right = layer(x), nn.functional.conv2d(x, layer.scale * layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(y, right)
    for ours, theirs in zip(*(torch.autograd.grad(v.pow(3).sum(), [x, layer.weight]) for v in (y, right))):
        torch.testing.assert_close(ours, theirs)


def test_doubling_and_convolving_are_one_operation_with_the_values_of_two() -> None:
    layer, x = EqualizedDoublingConv2d(3, 4).double(), torch.randn(2, 3, 5, 5, dtype=torch.double)
    two = EqualizedConv2d(3, 4, 3).double()
    two.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x), two(nn.functional.interpolate(x, scale_factor=2.0)))
