"""What drawing images asks of a model; every `zoo.GAN` has it."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


class GenerativeModel(Protocol):
    """A trained generator with its latents and labels."""

    resolution: int
    channels: int
    num_classes: int

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

    @property
    def average(self) -> nn.Module:
        """Moving average of the generator, which draws all samples."""

    def sample_latent(self, n: int) -> Tensor:
        """Draw latents (n, Z)."""

    def sample_labels(self, n: int) -> Tensor | None:
        """Draw class indices (n,), or return None for an unconditional model."""

    def sample_members(self, n: int) -> Tensor | None:
        """Draw the member (n,) of a mixture that makes each image, or return None."""

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (n, C, H, W) that a generator network makes of latents (n, Z)."""
