"""The interface that sampling needs of a model; every `zoo.GAN` has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


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


@dataclass(frozen=True)
class RowNetworks:
    """The network that draws each row of a batch of samples; `networks[rows]` is that of some of the rows.

    Args:
        networks: the networks to choose from.
        choice: index (B,) into `networks` for each row; None where the first network draws all of them.
    """

    networks: Sequence[nn.Module] | nn.ModuleList
    choice: Tensor | None = None

    def __getitem__(self, rows: slice | Tensor) -> RowNetworks:
        return self if self.choice is None else RowNetworks(self.networks, self.choice[rows])

    def generate(self, model: GenerativeModel, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return the model's images (B, C, H, W) of latents (B, Z), each row by its own network."""
        if self.choice is None:
            return model.generate(self.networks[0], in_dtype_of(self.networks[0], z), labels)
        indices = [(self.choice == i).nonzero().flatten() for i in range(len(self.networks))]
        images = [
            model.generate(network, in_dtype_of(network, z[rows]), None if labels is None else labels[rows])
            for network, rows in zip(self.networks, indices)
            if len(rows)
        ]
        return torch.cat(images)[torch.cat(indices).argsort()]


def in_dtype_of(network: nn.Module, z: Tensor) -> Tensor:
    """Return latents in the dtype of a network's weights, for models after `.half()`, `.bfloat16()` or `.double()`.

    Latents are drawn in float32 whatever the weights are, so that the same seed draws the same latents.
    """
    weight = next((weight for weight in network.parameters() if weight.is_floating_point()), z)
    return z.to(weight.dtype)
