"""InfoGAN: Chen, Duan, Houthooft, Schulman, Sutskever and Abbeel 2016, "InfoGAN: Interpretable Representation Learning
by Information Maximizing Generative Adversarial Nets", arXiv:1606.03657.

The last numbers of a latent are codes: one of K categories, as a one-hot vector, and C numbers uniform in [-1, 1]. A
third player, Q, guesses them from the generated image. The generator and Q minimise what Q gets wrong, a bound on the
mutual information of codes and images (equations 5 and 6): cross entropy, and for the numbers a Gaussian of variance 1.

Departs from the paper: Q has a network and an optimizer of its own instead of sharing the discriminator's trunk, and
moves after the generator, on new images; the networks are those of `zoo.DCGAN`.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.infogan.InfoGAN model.num_classes=0
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

import zoo
from zoo.layers.convolution import Conv2d
from zoo.models import dcgan as networks
from zoo.training.objectives import Terms


class InfoGAN(zoo.DCGAN):
    """DCGAN with codes in its latents, and a third player that guesses them.

    Args:
        categories: number K of categories.
        numbers: number C of continuous codes.
        information: weight of what Q gets wrong, for both; 1 in the paper.
        spread: weight of the continuous codes within it.
        dcgan: settings of `zoo.DCGAN`; `latent_dim` counts the codes too.

    Raises:
        ValueError: for a model with classes, or latents that are too short.
    """

    packable = False

    def __init__(
        self, categories: int = 10, numbers: int = 2, information: float = 1.0, spread: float = 0.1, **dcgan: Any
    ) -> None:
        super().__init__(**dcgan)
        if self.num_classes:
            raise ValueError(f"num_classes={self.num_classes}: InfoGAN finds classes itself; set model.num_classes=0")
        if self.latent_dim <= categories + numbers:
            raise ValueError(
                f"latent_dim={self.latent_dim} leaves no noise beside {categories} categories and {numbers} numbers; "
                "raise model.latent_dim"
            )
        self.categories, self.numbers, self.information, self.spread = categories, numbers, information, spread
        trunk = zoo.DCGAN(**dcgan).discriminator
        assert isinstance(trunk, networks.Discriminator)
        readout = Conv2d(trunk.readout.in_channels, categories + numbers, trunk.readout.kernel_size[0])
        self.recogniser = nn.Sequential(trunk.body, readout, nn.Flatten()).to(memory_format=torch.channels_last)

    def players(self) -> list[zoo.Player]:
        """Return the two players of a GAN and Q, which moves as often as the generator."""
        discriminator, generator = super().players()
        turns: Any = {"every": generator.every, "moves": generator.moves}
        recogniser = zoo.Player("q", self.recogniser, self.recogniser_loss, generator.lr, **turns)
        return [discriminator, generator, recogniser]

    def sample_latent(self, n: int) -> Tensor:
        """Draw latents (n, Z): noise, a one-hot vector of the category, and the continuous codes."""
        noise = super().sample_latent(n)[:, : -self.categories - self.numbers]
        category = one_hot(torch.randint(self.categories, (n,), device=self.device), self.categories)
        return torch.cat([noise, category, torch.rand(n, self.numbers, device=self.device) * 2 - 1], 1)

    def guessing_loss(self, fake: zoo.Batch) -> Tensor:
        """Return what Q gets wrong about the codes of generated images."""
        assert fake.latents is not None
        sizes = [self.categories, self.numbers]
        logits, means = torch.split(self.recogniser(fake.images), sizes, 1)
        category, numbers = torch.split(fake.latents[:, -sum(sizes) :], sizes, 1)
        gaussian = 0.5 * (means - numbers).square().sum(1).mean()
        return self.information * (cross_entropy(logits, category) + self.spread * gaussian)

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the game's terms and what Q, which stands still, gets wrong."""
        return {**super().generator_loss(real, fake), "information": self.guessing_loss(fake)}

    def recogniser_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return what Q gets wrong; real images have no codes."""
        return {"information": self.guessing_loss(fake)}
