"""A two-network training loop as most repositories write it, for every variant of `variants.py`.

The discriminator is called once on real and once on generated images; the generator's graph is built in the
discriminator's step and cut by `detach`; gradients of the discriminator are computed in the generator's step and thrown
away; Adam has torch's defaults; every loss is read with `.item()` in every round; nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from plain_networks import (
    BigDiscriminator,
    BigGenerator,
    GrownDiscriminator,
    GrownGenerator,
    WassersteinCritic,
    WassersteinGenerator,
    copy_weights,
)
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

import zoo


class PlainLoop:
    """The loop; subclasses have networks and losses. It starts from the weights of a model of the zoo.

    Args:
        model: whose weights, learning rates and numbers of steps are taken.
        batches: pairs of images and labels, or of images and None.
        precision: `32-true` or `bf16-mixed`.
        memory_format: of networks and images.
    """

    generator_batch = 1

    def __init__(
        self,
        model: Any,
        batches: Sequence[Any],
        precision: str = "32-true",
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.model_settings = model.hparams
        self.device = next(model.generator.parameters()).device
        self.latent_dim, self.num_classes, self.critic_steps = model.latent_dim, model.num_classes, model.critic_steps
        generator, discriminator = self.networks(model)
        self.generator = generator.to(self.device, memory_format=memory_format).train()
        self.discriminator = discriminator.to(self.device, memory_format=memory_format).train()
        self.d_adam = torch.optim.Adam(self.discriminator.parameters(), model.discriminator_lr, model.betas)
        self.g_adam = torch.optim.Adam(self.generator.parameters(), model.generator_lr, model.betas)
        self.batches = [(images.to(memory_format=memory_format), labels) for images, labels in batches]
        self.mixed = precision == "bf16-mixed"
        self.rounds = 0
        self.losses: list[dict[str, float]] = []
        self.before_round: Callable[[int], object] = lambda rounds: None

    def play(self, rounds: int) -> None:
        """Train for so many rounds, each one step of the discriminator."""
        for _ in range(rounds):
            self.before_round(self.rounds)
            images, labels = self.batches[self.rounds % len(self.batches)]
            images = self.prepared(images)
            self.rounds += 1
            self.discriminator.zero_grad()
            z, classes = self.drawn(len(images))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                fake = self.generator(z, classes)
                terms = self.discriminator_terms(images, labels, fake.detach(), classes)
            sum(terms.values()).backward()
            self.d_adam.step()
            losses = {f"d/{name}": term.item() for name, term in terms.items()}
            if self.rounds % self.critic_steps == 0:
                self.generator.zero_grad()
                z, classes = self.drawn(len(images) * self.generator_batch)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                    fake = self.generator(z, classes)
                    loss = self.generator_loss(self.discriminator(fake, classes))
                loss.backward()
                self.g_adam.step()
                losses["g/adversarial"] = loss.item()
            self.losses.append(losses)

    def drawn(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Latents and classes of generated images."""
        z = torch.randn(n, self.latent_dim, device=self.device)
        return z, torch.randint(self.num_classes, (n,), device=self.device) if self.num_classes else None

    def gradient_penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """Of WGAN-GP; in float32 also beside mixed precision, as in the zoo."""
        with torch.autocast(self.device.type, enabled=False):
            alpha = torch.rand(len(real), 1, 1, 1, device=self.device)
            between = (alpha * fake.float() + (1 - alpha) * real).requires_grad_(True)
            scores = self.discriminator(between)
            gradient = torch.autograd.grad(
                scores, between, grad_outputs=torch.ones_like(scores), create_graph=True, retain_graph=True
            )[0]
            return 10 * ((gradient.reshape(len(gradient), -1).norm(2, dim=1) - 1) ** 2).mean()

    # --- what differs ------------------------------------------------------------------------------------------------

    def networks(self, model: Any) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator with the model's weights."""
        raise NotImplementedError

    def prepared(self, images: Tensor) -> Tensor:
        """Real images as the discriminator sees them."""
        return images

    def discriminator_terms(
        self, real: Tensor, labels: Tensor | None, fake: Tensor, classes: Tensor | None
    ) -> dict[str, Tensor]:
        """Terms whose sum the discriminator minimises."""
        raise NotImplementedError

    def generator_loss(self, scores: Tensor) -> Tensor:
        """From scores of generated images."""
        return -scores.mean()


class PlainDCGAN(PlainLoop):
    """DCGAN. The zoo's networks are already what everybody writes: `Sequential`s of torch's layers."""

    def networks(self, model: zoo.DCGAN) -> tuple[nn.Module, nn.Module]:
        """Copies of the model's."""
        copy = zoo.DCGAN(**model.hparams)
        copy.load_state_dict(model.state_dict())
        return copy.generator, copy.discriminator

    def discriminator_terms(
        self, real: Tensor, labels: Tensor | None, fake: Tensor, classes: Tensor | None
    ) -> dict[str, Tensor]:
        """Binary cross entropy."""
        real_scores, fake_scores = self.discriminator(real), self.discriminator(fake)
        real_loss = binary_cross_entropy_with_logits(real_scores, torch.ones_like(real_scores))
        return {"adversarial": real_loss + binary_cross_entropy_with_logits(fake_scores, torch.zeros_like(fake_scores))}

    def generator_loss(self, scores: Tensor) -> Tensor:
        """Binary cross entropy with swapped labels."""
        return binary_cross_entropy_with_logits(scores, torch.ones_like(scores))


class PlainWGANGP(PlainLoop):
    """WGAN-GP with the CIFAR-10 ResNet, unconditional."""

    generator_batch = 2

    def networks(self, model: zoo.WGANGP) -> tuple[nn.Module, nn.Module]:
        """The authors' resampling, upsampling before and pooling after a convolution."""
        generator, critic = WassersteinGenerator(model), WassersteinCritic(model)
        copy_weights(model.generator, generator)
        copy_weights(model.discriminator, critic)
        return generator, critic

    def prepared(self, images: Tensor) -> Tensor:
        """Noise of one grey level's width."""
        levels = (images + 1) * 127.5
        return (levels + torch.rand_like(levels)) / 128 - 1

    def discriminator_terms(
        self, real: Tensor, labels: Tensor | None, fake: Tensor, classes: Tensor | None
    ) -> dict[str, Tensor]:
        """Wasserstein loss and gradient penalty."""
        return {
            "adversarial": -self.discriminator(real).mean() + self.discriminator(fake).mean(),
            "gradient_penalty": self.gradient_penalty(real, fake),
        }


class PlainProGAN(PlainLoop):
    """ProGAN at its full resolution."""

    def networks(self, model: zoo.ProGAN) -> tuple[nn.Module, nn.Module]:
        """The usual re-implementation."""
        generator, discriminator = GrownGenerator(model), GrownDiscriminator(model)
        copy_weights(model.generator, generator)
        copy_weights(model.discriminator, discriminator)
        return generator, discriminator

    def discriminator_terms(
        self, real: Tensor, labels: Tensor | None, fake: Tensor, classes: Tensor | None
    ) -> dict[str, Tensor]:
        """Wasserstein loss, gradient penalty and drift."""
        real_scores, fake_scores = self.discriminator(real), self.discriminator(fake)
        return {
            "adversarial": fake_scores.mean() - real_scores.mean(),
            "gradient_penalty": self.gradient_penalty(real, fake),
            "drift": 0.001 * (real_scores**2).mean(),
        }


class PlainBigGAN(PlainLoop):
    """BigGAN as in the authors' CIFAR-10 script, with torch's spectral norm."""

    def networks(self, model: zoo.BigGAN) -> tuple[nn.Module, nn.Module]:
        """Networks with `torch.nn.utils.parametrizations.spectral_norm`."""
        generator, discriminator = BigGenerator(model), BigDiscriminator(model)
        copy_weights(model.generator, generator)
        copy_weights(model.discriminator, discriminator)
        return generator, discriminator

    def discriminator_terms(
        self, real: Tensor, labels: Tensor | None, fake: Tensor, classes: Tensor | None
    ) -> dict[str, Tensor]:
        """Hinge loss."""
        real_scores, fake_scores = self.discriminator(real, labels), self.discriminator(fake, classes)
        return {"adversarial": relu(1 - real_scores).mean() + relu(1 + fake_scores).mean()}
