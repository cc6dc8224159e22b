"""SAGAN: Zhang, Goodfellow, Metaxas and Odena 2019, "Self-Attention Generative Adversarial Networks", arXiv:1805.08318.

Self-attention in both networks (section 3), spectral norm in both, class-conditional batch norm in the generator, a
projection discriminator with hinge loss, and a discriminator that learns four times as fast (section 4). `zoo.BigGAN`
grew out of it and has every part; here are the choices that make it a SAGAN. The attention's share `gamma` starts at 0,
so the networks start as those without attention.

Departs from the paper: residual blocks, widths and initialisation are BigGAN's; samples are drawn from an average.

    python -m zoo.fit recipe=biggan_fashion model.class=examples.ideas.sagan.SAGAN model.attention=16 \
        model.shared_dim=0 model.skip_latents=false model.orthogonal=0 model.generator_lr=0.0001 "model.betas=[0, 0.9]"
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.layers.attention import SelfAttention


class SAGAN(zoo.BigGAN):
    """BigGAN with the choices of SAGAN.

    Args:
        attention: size of the maps that self-attention is applied to; 32 in the paper, whose images have 128 pixels.
        shared_dim: length of the class embedding; 0 for a gain and bias of each class, as in the paper.
        skip_latents: whether each block sees a part of the latent; not in the paper.
        orthogonal: strength of BigGAN's orthogonal regularisation; 0 for none, as in the paper.
        generator_lr: Adam's learning rate for the generator.
        discriminator_lr: Adam's learning rate for the discriminator.
        betas: Adam's betas.
        critic_steps: discriminator updates for each generator update.
        biggan: further settings of `zoo.BigGAN`.

    Raises:
        ValueError: if the networks have no maps of the size of the attention.
    """

    def __init__(
        self,
        attention: int = 32,
        shared_dim: int = 0,
        skip_latents: bool = False,
        orthogonal: float = 0.0,
        generator_lr: float = 1e-4,
        discriminator_lr: float = 4e-4,
        betas: tuple[float, float] = (0.0, 0.9),
        critic_steps: int = 1,
        **biggan: Any,
    ) -> None:
        super().__init__(
            attention=attention,
            shared_dim=shared_dim,
            skip_latents=skip_latents,
            orthogonal=orthogonal,
            generator_lr=generator_lr,
            discriminator_lr=discriminator_lr,
            betas=betas,
            critic_steps=critic_steps,
            **biggan,
        )
        if not self.attention_shares().numel():
            raise ValueError(
                f"attention={attention}: the networks for {self.resolution} px have no maps of that size, and a SAGAN "
                "without self-attention is none. Set model.attention to half the resolution"
            )

    def attention_shares(self) -> Tensor:
        """Return gamma of every self-attention layer, those of the generator first; all 0 before training."""
        layers = [*self.generator.modules(), *self.discriminator.modules()]
        gammas = [layer.gamma.detach() for layer in layers if isinstance(layer, SelfAttention)]
        return torch.stack(gammas) if gammas else torch.zeros(0)
