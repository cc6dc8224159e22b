"""LOGAN: Wu, Donahue, Balduzzi, Simonyan and Lillicrap 2019, "LOGAN: Latent Optimisation for Generative Adversarial
Networks", arXiv:1912.00953.

Before an image counts, its latent takes one step towards a higher score f(z) = D(G(z)) (algorithm 1), by natural
gradient with the damped Fisher matrix of this one sample: `step * g / (|g|^2 + damping)` for the gradient g. Both
players learn through the step, and pay for its squared length. Samples are drawn from latents as they are.

Departs from the paper: the networks are those of `zoo.DCGAN`, not BigGAN-deep; step, damping, share and weight of the
length are those of PyTorch-StudioGAN for CIFAR-10, where also the latents that stay count with a length. Batch norm of
the generator sees the images of both latents.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.logan.LOGAN
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.errors import require_at_least
from zoo.training.objectives import Terms


class LatentOptimised(zoo.GAN):
    """Mixin, for any model: its latents, uniform in [-1, 1], are optimised before images are made of them.

    Args:
        step: step size; 0 for no optimisation.
        damping: damping of the Fisher matrix.
        share: probability that a latent is optimised.
        length: weight of the squared length of the steps, in both losses.
        settings: settings of the model.
    """

    squared_length: Tensor | None = None
    """Mean squared length of the steps behind the images last made, until a loss takes it."""

    def __init__(
        self, step: float = 0.9, damping: float = 0.1, share: float = 0.8, length: float = 0.1, **settings: Any
    ) -> None:
        super().__init__(**settings)
        require_at_least(0, step=step, share=share, length=length)
        if damping <= 0:
            raise ValueError(f"damping must be positive, or a gradient of 0 would be divided by 0; got {damping}")
        self.step, self.damping, self.share, self.length = step, damping, share, length

    def sample_latent(self, n: int) -> Tensor:
        """Draw latents (n, Z), uniform in [-1, 1], where optimised ones are clipped to."""
        return torch.rand(n, self.latent_dim, device=self.device) * 2 - 1

    def moves(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return the natural gradient step (B, Z) of each latent (B, Z), with its graph."""
        z = z.detach().requires_grad_()
        (scores,) = self.scores(self.shown(super().fakes(z, labels)))
        (gradient,) = torch.autograd.grad(scores.sum(), z, create_graph=True)
        return self.step * gradient / (gradient.square().sum(1, keepdim=True) + self.damping)

    def fakes(self, z: Tensor, labels: Tensor | None) -> zoo.Batch:
        """Return images of optimised latents; the graph goes through the optimisation."""
        if not self.step:
            return super().fakes(z, labels)
        chosen = torch.rand(len(z), 1, device=z.device) < self.share
        move = self.moves(z, labels) * chosen
        self.squared_length = move.square().sum(1).mean()
        return super().fakes((z + move).clamp(-1, 1), labels)

    def with_length(self, terms: Terms) -> Terms:
        """Return terms with that of the steps' length, once."""
        taken, self.squared_length = self.squared_length, None
        return terms if taken is None else {**terms, "length": self.length * taken}

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the model's terms and that of the steps' length."""
        return self.with_length(super().discriminator_loss(real, fake))

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the model's terms and that of the steps' length."""
        return self.with_length(super().generator_loss(real, fake))


class LOGAN(LatentOptimised, zoo.DCGAN):
    """DCGAN with latent optimisation."""
