from __future__ import annotations

import pytest
import torch

from zoo.layers.orthogonal import orthogonal_penalty


def test_orthogonal_rows_of_any_length_cost_nothing() -> None:
    weight = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))[0]
    assert orthogonal_penalty([weight], 1.0).item() == pytest.approx(0.0, abs=1e-10)
    assert orthogonal_penalty([weight * torch.arange(1.0, 7.0)[:, None]], 1.0).item() == pytest.approx(0.0, abs=1e-9)


def test_two_equal_rows_cost_their_length_to_the_fourth() -> None:
    weight = torch.tensor([[3.0, 4.0], [3.0, 4.0]])  # products off the diagonal: 25, twice
    assert orthogonal_penalty([weight], 0.1).item() == pytest.approx(0.1 / 2 * 2 * 25**2)


def test_the_gradient_is_that_of_the_authors_code() -> None:
    torch.manual_seed(0)
    weights = [torch.randn(8, 5, requires_grad=True), torch.randn(4, 3, 3, 3, requires_grad=True)]
    vector = torch.randn(7, requires_grad=True)
    orthogonal_penalty([*weights, vector], 0.3).backward()
    for weight in weights:
        w = weight.detach().flatten(1)
        expected = 2 * 0.3 * ((w @ w.T) * (1 - torch.eye(len(w)))) @ w
        torch.testing.assert_close(weight.grad.flatten(1), expected, rtol=1e-4, atol=1e-5)
    assert vector.grad is None


def test_it_is_computed_in_float32_under_autocast() -> None:
    weight = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        value = orthogonal_penalty([weight], 1.0)
    assert torch.equal(value, orthogonal_penalty([weight], 1.0))
