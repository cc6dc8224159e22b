from __future__ import annotations

import pytest
import torch

from zoo.layers.normalization import PixelNorm


@pytest.mark.parametrize("shape", [(5, 16), (3, 8, 4, 6)])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e4])
def test_every_pixel_has_unit_mean_square_over_its_channels(shape: tuple[int, ...], scale: float) -> None:
    torch.manual_seed(0)
    result = PixelNorm()(torch.randn(shape) * scale)
    torch.testing.assert_close(result.square().mean(1), torch.ones(shape[0], *shape[2:]), rtol=1e-3, atol=0)


def test_it_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3, 3)
    result = PixelNorm()(x)
    for i in range(2):
        for row in range(3):
            for column in range(3):
                pixel = x[i, :, row, column]
                expected = pixel / (sum(a**2 for a in pixel.tolist()) / 4 + 1e-8) ** 0.5
                torch.testing.assert_close(result[i, :, row, column], expected)


def test_zeros_stay_zeros_and_their_gradients_finite() -> None:
    x = torch.zeros(2, 4, 3, 3, requires_grad=True)
    result = PixelNorm()(x)
    assert (result == 0).all()
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert gradient.isfinite().all()


def test_bf16_is_normalised_in_float32_and_stays_bf16() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 512, 2, 2).bfloat16()
    result = PixelNorm()(x)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, PixelNorm()(x.float()).bfloat16())
