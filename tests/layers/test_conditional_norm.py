from __future__ import annotations

from functools import partial

import torch
from torch import nn

from zoo.layers.conditional_norm import ConditionalBatchNorm, UnconditionalBatchNorm
from zoo.layers.spectral import SpectralLinear


def test_with_maps_that_give_zero_it_is_batch_norm() -> None:
    torch.manual_seed(0)
    layer = ConditionalBatchNorm(3, partial(nn.Linear, 4, bias=False), eps=1e-4)
    plain = nn.BatchNorm2d(3, eps=1e-4, affine=False)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    for _ in range(3):
        x, c = torch.randn(5, 3, 4, 4) * 3 + 1, torch.randn(5, 4)
        torch.testing.assert_close(layer(x, c), plain(x))
    layer.eval()
    plain.eval()
    torch.testing.assert_close(layer(x, c), plain(x))


def test_each_image_has_the_gain_and_bias_of_its_condition() -> None:
    torch.manual_seed(0)
    layer = ConditionalBatchNorm(3, partial(SpectralLinear, 4, bias=False)).eval()
    x, c = torch.randn(5, 3, 4, 4), torch.randn(5, 4)
    gain = c @ layer.gain.normalised_weight().T
    bias = c @ layer.bias.normalised_weight().T
    expected = layer.norm(x) * (1 + gain[:, :, None, None]) + bias[:, :, None, None]
    torch.testing.assert_close(layer(x, c), expected)


def test_classes_may_have_gains_of_their_own() -> None:
    torch.manual_seed(0)
    layer = ConditionalBatchNorm(3, partial(nn.Embedding, 10)).eval()
    x = torch.randn(1, 3, 4, 4).expand(2, -1, -1, -1)
    first, second = layer(x, torch.tensor([0, 7]))
    assert not torch.equal(first, second)
    nn.init.zeros_(layer.gain.weight)
    first, second = layer(x, torch.tensor([0, 7]))
    shift = layer.bias(torch.tensor(0)) - layer.bias(torch.tensor(7))
    torch.testing.assert_close(first - second, shift[:, None, None].expand(3, 4, 4))


def test_without_a_condition_it_is_torchs() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 3, 4, 4)
    torch.testing.assert_close(UnconditionalBatchNorm(3)(x, None), nn.BatchNorm2d(3)(x))
