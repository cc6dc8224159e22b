"""Tests of mixtures with loaders that are not of `zoo.data`."""

from __future__ import annotations

import torch

import zoo


def test_payoffs_take_images_of_any_precision() -> None:
    """NumPy's images are often float64, which the loop takes too."""
    torch.manual_seed(0)
    model = zoo.MixGAN({"class": "DCGAN", "resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}, components=2)
    images = torch.rand(8, 1, 16, 16) * 2 - 1
    torch.testing.assert_close(model.payoffs(zoo.Batch(images.double())), model.payoffs(zoo.Batch(images)))
