"""Diffusion-GAN: Wang, Zheng, He, Chen and Zhou 2022, "Diffusion-GAN: Training GANs with Diffusion", arXiv:2206.02262.

The discriminator compares real and generated images after t steps of a diffusion (section 3.1), and is told t. Half of
the images have t = 0, the others up to T, later steps more often (`priority`). T grows while the mean sign of the
scores of real images, r_d, is above the target, else it falls (section 3.3). As in the authors' code
(training/diffusion.py) the noise is `noise` times that of a diffusion model, and the variances are spread over T steps.

Departs from the paper: t, a further channel that no gradient penalty sees, is drawn for each image, not from a list of
64; of the product of the steps' retentions, 1 minus a variance each, the exponential of minus the sum is taken.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.diffusion_gan.DiffusionGAN
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

import zoo
from zoo.errors import require_at_least
from zoo.training.objectives import Terms

FIRST, LAST = 1e-4, 2e-2  # variances of the first and of the last step
LEAST, MOST, EVERY = 10, 1000, 4  # bounds of T; rounds from one change of it to the next


class Diffused(zoo.GAN):
    """Mixin, for any model: its discriminator sees images with noise, and how much.

    Args:
        noise: deviation of the noise of an endless diffusion.
        target: r_d at which T stays.
        speed: images over which T can rise from its least to its greatest value.
        settings: settings of the model.
    """

    base: ClassVar[type[zoo.GAN]]
    """The model that is mixed in, of which the discriminator of images and t is built."""
    packable = False
    strength: Tensor
    balance: Tensor

    def __init__(self, noise: float = 0.05, target: float = 0.6, speed: int = 100_000, **settings: Any) -> None:
        require_at_least(0, noise=noise)
        require_at_least(1, speed=speed)
        super().__init__(**settings)
        self.discriminator = self.base(**{**settings, "channels": self.channels + 1}).discriminator
        self.noise, self.target, self.speed = noise, target, speed
        self.register_buffer("strength", torch.zeros(()))  # 0 for the least T, 1 for the greatest
        self.register_buffer("balance", torch.zeros(()))  # sum of r_d minus target since the last change of T

    def steps(self) -> Tensor:
        """Return T, a scalar on the device."""
        return LEAST + (self.strength * (MOST - LEAST)).round()

    def noised(self, batch: zoo.Batch, t: Tensor) -> zoo.Batch:
        """Return images after t (B,) steps, (B, C + 1, H, W); the last channel is t as a share of the greatest T."""
        total = t * FIRST + (LAST - FIRST) * t * (t - 1) / (2 * (self.steps() - 1))  # of the variances of t steps
        kept = torch.exp(-total)[:, None, None, None]
        images = kept.sqrt() * batch.images + (1 - kept).sqrt() * self.noise * torch.randn_like(batch.images)
        level = (t / MOST)[:, None, None, None].expand(-1, 1, *images.shape[2:])
        return zoo.Batch(torch.cat([images, level], 1), batch.labels, batch.latents)

    def shown(self, batch: zoo.Batch) -> zoo.Batch:
        """Return images as the losses see them: augmented, then with noise."""
        batch = super().shown(batch)
        chance = torch.rand(2, len(batch), device=batch.images.device)
        t = (self.steps() * chance[0].sqrt()).ceil()  # t has probability proportional to about t
        return self.noised(batch, t * (chance[1] < 0.5))

    def score(self, batch: zoo.Batch) -> Tensor:
        """Return scores (B,) of images that were shown, or of images as they are, as after 0 steps."""
        if batch.images.shape[1] == self.channels:
            batch = self.noised(batch, batch.images.new_zeros(len(batch)))
        told = torch.cat([batch.images[:, :-1], batch.images[:, -1:].detach()], 1)
        return super().score(zoo.Batch(told, batch.labels))

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the model's terms; remember how sure the discriminator was of the real images."""
        terms = super().discriminator_loss(real, fake)
        real_scores, fake_scores = (batch.scores.detach().float() for batch in (real, fake))  # type: ignore[union-attr]
        undecided = fake_scores.mean() if self.undecided is None else self.undecided
        self.balance += (real_scores - undecided).sign().mean() - self.target
        return terms

    def on_clock(self, before: int, now: int) -> None:
        """Move T every fourth round, up or down by the images of these rounds; the host waits for nothing."""
        super().on_clock(before, now)
        if self.rounds % EVERY == 0:
            mean: Any = self.trainer.strategy.reduce(self.balance, reduce_op="mean")  # of all processes
            self.strength.add_(mean.sign() * EVERY * (now - before) / self.speed).clamp_(0, 1)
            self.balance.zero_()


class DiffusionGAN(Diffused, zoo.DCGAN):
    """DCGAN with a noise-blended discriminator."""

    base = zoo.DCGAN
