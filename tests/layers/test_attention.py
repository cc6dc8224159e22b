from __future__ import annotations

import pytest
import torch

from zoo.layers.attention import SelfAttention


def test_with_gamma_zero_it_is_the_identity() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 6, 6)
    assert torch.equal(SelfAttention(16)(x), x)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_is_a_softmax_over_pooled_places(memory_format: torch.memory_format) -> None:
    """Compute the attention position by position."""
    torch.manual_seed(0)
    layer = SelfAttention(16).eval().to(memory_format=memory_format)
    layer.gamma.data.fill_(0.7)
    x = torch.randn(2, 16, 4, 6).to(memory_format=memory_format)
    result = layer(x)
    query, key, value = layer.query(x), layer.key(x), layer.value(x)
    for image in range(2):
        keys, values = [], []
        for i in range(0, 4, 2):
            for j in range(0, 6, 2):
                keys.append(key[image, :, i : i + 2, j : j + 2].amax((1, 2)))
                values.append(value[image, :, i : i + 2, j : j + 2].amax((1, 2)))
        for i in range(4):
            for j in range(6):
                share = torch.stack([k @ query[image, :, i, j] for k in keys]).softmax(0)
                attended = sum(s * v for s, v in zip(share, values))
                expected = x[image, :, i, j] + 0.7 * layer.output.normalised_weight()[:, :, 0, 0] @ attended
                torch.testing.assert_close(result[image, :, i, j], expected, rtol=1e-4, atol=1e-5)


def test_it_has_second_derivatives() -> None:
    layer = SelfAttention(8)
    layer.gamma.data.fill_(1.0)
    x = torch.randn(1, 8, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert layer.query.weight.grad is not None
    assert layer.query.weight.grad.abs().sum() > 0


def test_too_few_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8; got 4"):
        SelfAttention(4)
