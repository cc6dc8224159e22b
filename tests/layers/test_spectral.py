"""Spectral normalisation compared with its definition and with torch's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from tests.helpers.training import equal, weights
from zoo.layers.spectral import (
    SpectralConv2d,
    SpectralDoublingConv2d,
    SpectralEmbedding,
    SpectralLinear,
    as_filter,
    as_matrix,
)

LAYERS: dict[str, Any] = {
    "convolution": (lambda: SpectralConv2d(5, 7), lambda: torch.randn(2, 5, 6, 6)),
    "linear": (lambda: SpectralLinear(6, 9), lambda: torch.randn(4, 6)),
    "embedding": (lambda: SpectralEmbedding(10, 4), lambda: torch.tensor([1, 9, 1])),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_largest_singular_value_becomes_one(kind: str) -> None:
    layer, x = LAYERS[kind][0](), LAYERS[kind][1]()
    with torch.no_grad():
        layer.weight.mul_(7.0)
    for _ in range(300):
        layer(x)
    values = torch.linalg.svdvals(as_matrix(layer.normalised_weight().detach()))
    assert values[0].item() == pytest.approx(1.0, abs=1e-5)


def same_start(ours: nn.Module, theirs: nn.Module) -> nn.Module:
    """torch's normalisation of a layer, from the same vectors."""
    ours.load_state_dict({**theirs.state_dict(), "v": ours.v})
    normalised = spectral_norm(theirs)
    parametrization = normalised.parametrizations.weight[0]
    right = ours.v.flatten()  # torch flattens (in, height, width)
    parametrization._v.copy_(right)
    return normalised


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", ["convolution", "linear"])
def test_training_equals_torchs_parametrization(kind: str, memory_format: torch.memory_format) -> None:
    ours = LAYERS[kind][0]().to(memory_format=memory_format)
    theirs = same_start(ours, nn.Conv2d(5, 7, 3, padding=1) if kind == "convolution" else nn.Linear(6, 9))
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.5) for layer in (ours, theirs)]
    for _ in range(5):
        x = LAYERS[kind][1]()
        outputs = [layer(x) for layer in (ours, theirs)]
        torch.testing.assert_close(*outputs)
        for optimizer, output in zip(optimizers, outputs):
            optimizer.zero_grad()
            output.square().mean().backward()
            optimizer.step()
        raw = theirs.parametrizations.weight.original
        torch.testing.assert_close(ours.weight.grad, raw.grad)


def test_one_power_iteration_for_each_training_pass_and_none_in_eval() -> None:
    layer, x = SpectralConv2d(5, 7), torch.randn(2, 5, 6, 6)
    matrix, v = as_matrix(layer.weight.detach()), layer.v.movedim(0, -1).flatten()
    for _ in range(3):
        layer(x)
        u = nn.functional.normalize(matrix @ v, dim=0)
        v = nn.functional.normalize(matrix.T @ u, dim=0)
        torch.testing.assert_close(layer.v, as_filter(v, layer.weight))
    layer.eval()
    before = weights(layer)
    layer(x)
    assert equal(before, weights(layer))


def test_a_frozen_layer_still_iterates() -> None:
    """As in the authors' code, the discriminator's estimate is also updated in the generator's step."""
    layer = SpectralLinear(6, 9).requires_grad_(False)
    before = layer.v.clone()
    layer(torch.randn(2, 6, requires_grad=True)).sum().backward()
    assert not torch.equal(before, layer.v)
    assert layer.weight.grad is None


def test_two_passes_before_one_backward_are_allowed() -> None:
    layer = SpectralLinear(6, 9)
    (layer(torch.randn(2, 6)) + layer(torch.randn(2, 6))).sum().backward()
    assert layer.weight.grad is not None


def test_the_length_of_the_stored_vector_does_not_matter() -> None:
    """An average of unit vectors is shorter than 1; torch's own layer would then scale its weight up."""
    layer, x = SpectralConv2d(5, 7).eval(), torch.randn(2, 5, 6, 6)
    expected = layer(x)
    layer.v.mul_(0.3)
    torch.testing.assert_close(layer(x), expected)


def test_copies_and_states_carry_the_vector() -> None:
    layer, x = SpectralConv2d(5, 7), torch.randn(2, 5, 6, 6)
    layer(x)
    twin, loaded = copy.deepcopy(layer), SpectralConv2d(5, 7)
    loaded.load_state_dict(layer.state_dict())
    outputs = [m(x) for m in (layer, twin, loaded)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_the_norm_is_known_in_float32_under_autocast() -> None:
    layer = SpectralConv2d(5, 7)
    plain = copy.deepcopy(layer).normalised_weight()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.normalised_weight(), plain)


@pytest.mark.parametrize("mixed", [False, True])
def test_doubling_and_convolving_have_the_values_of_two_operations_in_either_precision(mixed: bool) -> None:
    layer, x = SpectralDoublingConv2d(5, 7), torch.randn(2, 5, 6, 6)
    two = copy.deepcopy(layer)
    two.__class__ = SpectralConv2d
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        found, right = layer(x), two(nn.functional.interpolate(x, scale_factor=2.0))
    torch.testing.assert_close(found, right, rtol=1e-4, atol=0 if mixed else 1e-5)
    assert found.dtype == (torch.bfloat16 if mixed else torch.float32)
