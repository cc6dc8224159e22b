"""The interface that sampling needs of a model; every `zoo.GAN` has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

Rows = slice | Tensor
"""Positions in a batch of samples: a slice, or indices (B,)."""

RowNetworks = Callable[[Rows], nn.Module]
"""A function from rows of a batch of samples to the network that `generate` is called with for these rows."""


class GenerativeModel(Protocol):
    """A trained generator with the distributions of its latents and labels."""

    resolution: int
    channels: int
    num_classes: int

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

    @property
    def average(self) -> nn.Module:
        """Moving average (EMA) of the generator, from which all samples are drawn."""

    def sample_latent(self, n: int) -> Tensor:
        """Draw latents (n, Z)."""

    def sample_labels(self, n: int) -> Tensor | None:
        """Draw class indices (n,), or return None for an unconditional model."""

    def choose_networks(self, n: int) -> RowNetworks:
        """Choose the network that draws each of n samples."""

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (n, C, H, W) that a generator network makes of latents (n, Z)."""
