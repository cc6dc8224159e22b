"""Levels of an image file: all callers round alike."""

from __future__ import annotations

import torch

from zoo.features import quantised as of_features
from zoo.layers.levels import quantised
from zoo.metrics.stored_images import as_bytes
from zoo.rendering.pictures import to_uint8


def test_values_are_clamped_and_rounded_to_even() -> None:
    x = torch.tensor([-7.0, -1.0, 0.0, 1 / 127.5, 1.4 / 127.5, 1.0, 7.0], requires_grad=True)
    found = quantised(x)
    assert found.tolist() == [0, 0, 128, 128, 129, 255, 255]  # 127.5 and 128.5 are rounded to 128
    assert found.dtype == torch.float32
    assert not found.requires_grad


def test_pictures_and_metrics_store_the_levels_that_extractors_see() -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    levels = of_features(images)
    assert torch.equal(to_uint8(images).float(), levels)
    assert torch.equal(as_bytes(images).float(), levels)
