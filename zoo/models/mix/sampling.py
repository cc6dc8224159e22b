"""How a trained mixture makes images: each by a generator that is drawn by weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.models.mix.mixture import Mixture
from zoo.sampling.images import Labels, TruncationBy, displayed
from zoo.sampling.protocol import RowNetworks
from zoo.sampling.sampleable import Sampleable


class MixtureSampling(Sampleable):
    """The part of `zoo.MixGAN` that draws images, for a model whose `average` is a mixture of generators."""

    average: Mixture
    resolution: int
    member: Any

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W), float32 in [-1, 1], each of an averaged generator drawn by weight.

        Every generator computes all rows, of which one is taken: k times the work of `sample`, but no operation
        depends on the draw, so that the model can be exported. `member(i)` exports one generator by itself.

        Args:
            z: latents (B, Z).
            labels: class indices (B,); None for an unconditional model.
        """
        model: Any = self
        images = torch.stack([RowNetworks([network]).generate(model, z, labels) for network in self.average.members])
        ends = self.average.weights.float().cumsum(0)[:-1]  # of each member's share of [0, 1); ONNX has no such draw
        chosen = (torch.rand(z.shape[0], 1, device=z.device) >= ends).sum(1)
        return displayed(images[chosen, torch.arange(z.shape[0], device=z.device)], self.resolution)

    def choose_networks(self, n: int) -> RowNetworks:
        """Draw the averaged generator of each of n samples by weight, from torch's random state."""
        members, weights = self.average.members, self.average.weights.float()  # half has no multinomial on some devices
        return RowNetworks(members, torch.multinomial(weights, n, replacement=True) if len(members) > 1 and n else None)

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        labels: Labels | None = None,
        truncation: float | None = None,
        truncation_by: TruncationBy = "redrawing",
        batch_size: int = 256,
        component: int | None = None,
    ) -> Tensor:
        """Draw images (n, C, H, W), float32 in [-1, 1], each by a generator drawn by weight.

        Args:
            n: number of images.
            seed: see `GAN.sample`, as those below.
            labels: classes of the images.
            truncation: truncation of the latents.
            truncation_by: definition of the truncation.
            batch_size: number of images computed at a time.
            component: number of the generator that draws all images, 0 to k-1; None draws one by weight for each.

        Raises:
            ValueError: for arguments that `GAN.sample` refuses, and for a component out of range.
        """
        source: Any = super() if component is None else self.member(component)
        images: Tensor = source.sample(
            n, seed=seed, labels=labels, truncation=truncation, truncation_by=truncation_by, batch_size=batch_size
        )
        return images
