"""Unrolled GAN: Metz, Poole, Pfau and Sohl-Dickstein 2017, "Unrolled Generative Adversarial Networks",
arXiv:1611.02163.

The generator's loss is that against the discriminator as it will be after k further steps (section 2.2). The steps are
differentiable, so the generator also learns how its images move the discriminator: to collapse onto one mode, which the
discriminator would answer, no longer pays. The discriminator itself makes one ordinary step in a round.

Departs from the paper: the k steps are plain gradient steps, as in its equations (its experiments unroll Adam), all on
the images of the round (with `model.micro_batches` or several processes: of each part of them), without gradient
penalties; running statistics of batch norm do not see them.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.unrolled.UnrolledGAN model.unroll=5
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

import zoo
from zoo.errors import UserError, require_at_least
from zoo.training.contract import given_objective
from zoo.training.objectives import Terms
from zoo.training.player import Loss


class Against(nn.Module):
    """A loss as a function of the discriminator's weights, for `torch.func.functional_call`."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, loss: Loss, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the terms of a loss, which meets the weights of the moment in the discriminator."""
        return loss(real, fake)


class Unrolled(zoo.GAN):
    """Mixin, for any model: its generator plays against the discriminator of k steps later.

    Args:
        unroll: number k of steps; 0 is the model itself.
        unroll_lr: step size of the gradient steps.
        settings: settings of the model.
    """

    def __init__(self, unroll: int = 5, unroll_lr: float = 0.01, **settings: Any) -> None:
        super().__init__(**settings)
        require_at_least(0, unroll=unroll, unroll_lr=unroll_lr)
        self.unroll, self.unroll_lr = unroll, unroll_lr

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the terms of the model's generator against the unrolled discriminator."""
        if not self.unroll:
            return super().generator_loss(real, fake)
        if not isinstance(self.discriminator, nn.Module):
            raise UserError(f"unroll={self.unroll}: a mixture hides its discriminators' weights; set unroll=0 there")
        game = Against(self.discriminator)
        buffers = {name: buffer.clone() for name, buffer in game.named_buffers()}
        # The discriminator is frozen while the generator moves, so the steps start from leaves of their own.
        weights = {name: weight.detach().requires_grad_() for name, weight in game.named_parameters()}
        objective = given_objective(self)
        factor, objective.penalty_factor = objective.penalty_factor, 0.0  # batch norm has no third derivative
        for _ in range(self.unroll):
            weights = self.stepped(game, weights, buffers, real, fake)
        objective.penalty_factor = factor
        terms: Terms = functional_call(game, {**weights, **buffers}, (super().generator_loss, real, fake))
        return terms

    def stepped(
        self, game: Against, weights: dict[str, Tensor], buffers: dict[str, Tensor], real: zoo.Batch, fake: zoo.Batch
    ) -> dict[str, Tensor]:
        """Return the weights after one differentiable gradient step of the discriminator."""
        terms = functional_call(game, {**weights, **buffers}, (self.discriminator_loss, real, fake))
        loss = torch.stack(list(terms.values())).sum()
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        return {
            name: weight - self.unroll_lr * gradient for (name, weight), gradient in zip(weights.items(), gradients)
        }


class UnrolledGAN(Unrolled, zoo.DCGAN):
    """DCGAN whose generator looks ahead."""
