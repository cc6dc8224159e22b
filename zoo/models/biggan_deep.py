"""BigGAN-deep: Brock, Donahue and Simonyan 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
arXiv:1809.11096, appendix B, figure 16. Networks checked against the authors' PyTorch code
(ajbrock/BigGAN-PyTorch, BigGANdeep.py); the generator also against pytorch-pretrained-biggan, which holds the TF-Hub
weights.

Twice as many blocks as BigGAN, each with a bottleneck of a quarter of the channels, and shortcuts that never mix
channels: the generator drops those that are too many, the discriminator joins new ones to what it has. The whole
latent, together with the class embedding, conditions every block.

What differs from the authors' code: the last convolution gives the image's channels instead of 128 of which three are
kept; the first linear layer gives channels last (as in the TF-Hub modules). Resolution 16 is ours; 32 and 64 px are the
authors' code's. Without classes (`num_classes=0`) the condition is the latent alone and the discriminator does not
project.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from zoo.gan import GAN
from zoo.layers.attention import SelfAttention
from zoo.layers.conditional_norm import ConditionalBatchNorm, UnconditionalBatchNorm
from zoo.layers.spectral import SpectralConv2d, SpectralLinear
from zoo.models.biggan import (
    DISCRIMINATOR_WIDTHS,
    GENERATOR_WIDTHS,
    Initialisation,
    Projection,
    as_map,
    check_sizes,
    doubled,
    halvings,
    initialise,
    orthogonal_term,
)
from zoo.training.batch import Batch
from zoo.training.objectives import Terms
from zoo.training.objectives import objective as objective_named

BOTTLENECK = 4
"""How many times fewer channels the convolutions of a block have than the wider of its ends."""


class GeneratorBlock(nn.Module):
    """Residual block, four convolutions: (B, in, H, W) to (B, out, H, W), or twice the size; `out` is at most `in`."""

    def __init__(self, inputs: int, outputs: int, double: bool, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        hidden = inputs // BOTTLENECK
        self.outputs, self.doubles = outputs, double
        self.norm1, self.norm2, self.norm3, self.norm4 = norm(inputs), norm(hidden), norm(hidden), norm(hidden)
        self.conv1, self.conv2 = SpectralConv2d(inputs, hidden, 1), SpectralConv2d(hidden, hidden)
        self.conv3, self.conv4 = SpectralConv2d(hidden, hidden), SpectralConv2d(hidden, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Norm and ReLU before every convolution; the size doubles before the first 3x3 one."""
        h = self.conv1(relu(self.norm1(x, condition)))
        h = relu(self.norm2(h, condition))
        x = x[:, : self.outputs]
        if self.doubles:
            h, x = doubled(h), doubled(x)
        h = self.conv3(relu(self.norm3(self.conv2(h), condition)))
        h = self.conv4(relu(self.norm4(h, condition)))
        result: Tensor = h + x
        return result


class Generator(nn.Module):
    """From latents to images; see the module's text. `embed` is the shared embedding of classes."""

    def __init__(
        self,
        resolution: int,
        channels: int,
        latent_dim: int,
        width: int,
        num_classes: int,
        shared_dim: int,
        attention: int,
        epsilon: float,
    ) -> None:
        super().__init__()
        widths = [multiple * width for multiple in GENERATOR_WIDTHS[resolution]]
        self.embed = nn.Embedding(num_classes, shared_dim) if num_classes else None
        condition_dim = latent_dim + (shared_dim if num_classes else 0)
        project = partial(SpectralLinear, condition_dim, bias=False)
        norm = partial(ConditionalBatchNorm, project=project, eps=epsilon)
        self.stem = SpectralLinear(condition_dim, 4 * 4 * widths[0])
        self.blocks = nn.ModuleList()
        self.attention = nn.ModuleDict()  # after which block
        for i, (before, after) in enumerate(pairwise(widths)):
            self.blocks.append(GeneratorBlock(before, before, False, norm))
            self.blocks.append(GeneratorBlock(before, after, True, norm))
            if 8 * 2**i == attention:
                self.attention[str(2 * i + 1)] = SelfAttention(after)
        self.norm = UnconditionalBatchNorm(widths[-1], eps=epsilon)
        self.to_image = SpectralConv2d(widths[-1], channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] from latents (B, Z) and, if conditional, class indices (B,)."""
        condition = z if self.embed is None else torch.cat([z, self.embed(labels)], dim=1)
        x = as_map(self.stem(condition))
        for i, block in enumerate(self.blocks):
            x = block(x, condition)
            if str(i) in self.attention:
                x = self.attention[str(i)](x)
        return torch.tanh(self.to_image(relu(self.norm(x))))


class DiscriminatorBlock(nn.Module):
    """Residual block, four convolutions: (B, in, H, W) to (B, out, H, W), or half the size; `out` is at least `in`."""

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        hidden = outputs // BOTTLENECK
        self.halve = halve
        self.conv1, self.conv2 = SpectralConv2d(inputs, hidden, 1), SpectralConv2d(hidden, hidden)
        self.conv3, self.conv4 = SpectralConv2d(hidden, hidden), SpectralConv2d(hidden, outputs, 1)
        self.joined = SpectralConv2d(inputs, outputs - inputs, 1) if outputs > inputs else None

    def forward(self, x: Tensor) -> Tensor:
        """ReLU before every convolution, none of them in place; pooling before the last convolution."""
        h = self.conv2(relu(self.conv1(relu(x))))
        h = relu(self.conv3(relu(h)))
        if self.halve:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)
        if self.joined is not None:
            x = torch.cat([x, self.joined(x)], dim=1)
        result: Tensor = self.conv4(h) + x
        return result


class Discriminator(nn.Module):
    """From images to scores; see the module's text."""

    def __init__(self, resolution: int, channels: int, width: int, num_classes: int, attention: int) -> None:
        super().__init__()
        widths = [multiple * width for multiple in DISCRIMINATOR_WIDTHS[resolution]]
        layers: list[nn.Module] = [SpectralConv2d(channels, widths[0])]
        for i, (before, after) in enumerate(pairwise(widths)):
            halve = i < halvings(resolution)
            layers += [DiscriminatorBlock(before, after, halve), DiscriminatorBlock(after, after, False)]
            if halve and resolution // 2 ** (i + 1) == attention:
                layers.append(SelfAttention(after))
        self.body = nn.Sequential(*layers)
        self.readout = Projection(widths[-1], num_classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (B,) of images (B, C, H, W) in [-1, 1] and, if conditional, class indices (B,)."""
        scores: Tensor = self.readout(self.body(images), labels)
        return scores


class BigGANDeep(GAN):
    """BigGAN-deep. `BigGANDeep()` is the paper's network at 128 px, with BigGAN's way of training.

    Args:
        resolution: 16, 32, 64, 128, 256 or 512 pixels.
        channels: of images.
        latent_dim: length of the latent.
        width: channels of the widest-resolution layer, a multiple of 4; 128 in the paper.
        num_classes: 0 for an unconditional model.
        shared_dim: length of the class embedding.
        attention: size of the maps with self-attention after them, 64 in the paper; 0 for none. Networks without
            maps of this size have none.
        initialisation: `orthogonal` (the paper's), or `normal`: N(0, 0.02).
        epsilon: of batch norm; 1e-5 in the authors' code, 1e-4 in the TF-Hub modules.
        objective: `hinge` (the paper's), `non_saturating`, `saturating` or `least_squares`.
        orthogonal: strength of the orthogonal regularisation of the generator (1e-4 in the paper); 0 for none.
        r1: weight of the gradient penalty on real images (10 in the paper's section 4.2, not in its models).
        generator_lr: learning rate of Adam for the generator.
        discriminator_lr: and for the discriminator.
        betas: Adam's.
        critic_steps: discriminator updates for each generator update.
        training: further settings of the loop, see `zoo.GAN`.

    Raises:
        ValueError: for sizes that are not offered.
    """

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        latent_dim: int = 128,
        width: int = 128,
        num_classes: int = 1000,
        shared_dim: int = 128,
        attention: int = 64,
        initialisation: Initialisation = "orthogonal",
        epsilon: float = 1e-5,
        objective: str = "hinge",
        orthogonal: float = 1e-4,
        r1: float = 0.0,
        generator_lr: float = 5e-5,
        discriminator_lr: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.999),
        critic_steps: int = 2,
        **training: Any,
    ) -> None:
        check_sizes("BigGANDeep", resolution, attention, initialisation)
        if width % BOTTLENECK:
            raise ValueError(f"width of a BigGANDeep is a multiple of {BOTTLENECK}; got {width}")
        generator = Generator(resolution, channels, latent_dim, width, num_classes, shared_dim, attention, epsilon)
        discriminator = Discriminator(resolution, channels, width, num_classes, attention)
        super().__init__(
            initialise(generator, initialisation),
            initialise(discriminator, initialisation),
            objective_named(objective, r1),
            resolution=resolution,
            channels=channels,
            latent_dim=latent_dim,
            num_classes=num_classes,
            generator_lr=generator_lr,
            discriminator_lr=discriminator_lr,
            betas=betas,
            critic_steps=critic_steps,
            **training,
        )
        self.orthogonal = orthogonal
        self.save_hyperparameters(logger=False)

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """The objective's terms and orthogonal regularisation."""
        return {**super().generator_loss(real, fake), **orthogonal_term(self.generator, self.orthogonal)}
