"""BigGAN-deep: Brock, Donahue and Simonyan 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
arXiv:1809.11096, appendix B, figure 16. Networks checked against the authors' PyTorch code
(ajbrock/BigGAN-PyTorch, BigGANdeep.py); the generator also against pytorch-pretrained-biggan, which holds the TF-Hub
weights.

The networks have twice as many blocks as BigGAN's, each with a bottleneck of a quarter of the channels. Shortcuts never
mix channels: the generator drops surplus channels, the discriminator concatenates new ones. The entire latent, together
with the class embedding, conditions every block.

Differences from the authors' code: the last convolution has the image's channels instead of 128 of which three are
used; the output of the first linear layer has channels last (as in the TF-Hub modules). Resolution 16 is ours; 32 and
64 px follow the authors' code. Without classes (`num_classes=0`) the condition is the latent alone, and the
discriminator does not project.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from zoo.errors import require_at_least
from zoo.layers.attention import SelfAttention
from zoo.layers.conditional_norm import ConditionalBatchNorm, UnconditionalBatchNorm
from zoo.layers.rectifier import relu
from zoo.layers.spectral import SpectralConv2d, SpectralDoublingConv2d, SpectralLinear
from zoo.models.biggan import (
    DISCRIMINATOR_WIDTHS,
    GENERATOR_WIDTHS,
    Initialisation,
    OrthogonalGAN,
    Projection,
    as_map,
    check_sizes,
    doubled,
    halvings,
    initialise,
)
from zoo.training.objectives import objective as objective_named

BOTTLENECK = 4
"""Ratio of the wider end of a block to the channels of its inner convolutions."""


class GeneratorBlock(nn.Module):
    """Residual block, four convolutions: (B, in, H, W) to (B, out, H, W), or twice the size; `out` is at most `in`."""

    def __init__(self, inputs: int, outputs: int, double: bool, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        hidden = inputs // BOTTLENECK
        self.outputs, self.doubles = outputs, double
        self.norm1, self.norm2, self.norm3, self.norm4 = norm(inputs), norm(hidden), norm(hidden), norm(hidden)
        self.conv1 = SpectralConv2d(inputs, hidden, 1)
        self.conv2 = SpectralDoublingConv2d(hidden, hidden) if double else SpectralConv2d(hidden, hidden)
        self.conv3, self.conv4 = SpectralConv2d(hidden, hidden), SpectralConv2d(hidden, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Apply norm, ReLU and convolution four times, the first 3x3 one of doubled maps; add the shortcut."""
        h = self.conv1(relu(self.norm1(x, condition)))
        h = relu(self.norm2(h, condition))
        x = x[:, : self.outputs]
        if self.doubles:
            x = doubled(x)
        h = self.conv3(relu(self.norm3(self.conv2(h), condition)))
        h = self.conv4(relu(self.norm4(h, condition)))
        result: Tensor = h + x
        return result


class Generator(nn.Module):
    """Generator from latents to images, see the module docstring. `embed` is the shared embedding of classes."""

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
        self.attention = nn.ModuleDict()  # by the index of the block before it
        for i, (before, after) in enumerate(pairwise(widths)):
            self.blocks.append(GeneratorBlock(before, before, False, norm))
            self.blocks.append(GeneratorBlock(before, after, True, norm))
            if 8 * 2**i == attention:
                self.attention[str(2 * i + 1)] = SelfAttention(after)
        self.norm = UnconditionalBatchNorm(widths[-1], eps=epsilon)
        self.to_image = SpectralConv2d(widths[-1], channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] from latents (B, Z) and, if conditional, class indices (B,)."""
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
        """Apply ReLU and convolution four times, pooling before the last convolution; no ReLU is in place."""
        h = self.conv2(relu(self.conv1(relu(x))))
        h = relu(self.conv3(relu(h)))
        if self.halve:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)
        if self.joined is not None:
            x = torch.cat([x, self.joined(x)], dim=1)
        result: Tensor = self.conv4(h) + x
        return result


class Discriminator(nn.Module):
    """Discriminator from images to scores, see the module docstring."""

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
        """Return logits (B,) of images (B, C, H, W) in [-1, 1] and, if conditional, class indices (B,)."""
        scores: Tensor = self.readout(self.body(images), labels)
        return scores


class BigGANDeep(OrthogonalGAN):
    """BigGAN-deep. `BigGANDeep()` is the paper's network at 128 px, trained like BigGAN.

    Args:
        resolution: height and width of the images: 16, 32, 64, 128, 256 or 512 pixels.
        channels: channels of the images.
        latent_dim: length of the latents.
        width: factor of all widths, a multiple of 4; 128 in the paper.
        num_classes: number of classes; 0 for an unconditional model.
        shared_dim: length of the class embedding.
        attention: size of the maps that self-attention is applied to, 64 in the paper; 0 for none. Networks without
            maps of this size have no self-attention.
        initialisation: initialisation of the weights: `orthogonal` (the paper's), or `normal`: N(0, 0.02).
        epsilon: epsilon of batch norm; 1e-5 in the authors' code, 1e-4 in the TF-Hub modules.
        objective: `hinge` (the paper's), `non_saturating`, `saturating`, `least_squares` or `relativistic`.
        orthogonal: strength of the orthogonal regularisation of the generator (1e-4 in the paper); 0 for none.
        generator_lr: Adam's learning rate for the generator.
        discriminator_lr: Adam's learning rate for the discriminator.
        betas: Adam's betas.
        critic_steps: discriminator updates for each generator update.
        training: further settings of the training loop, see `zoo.GAN`; among them `r1`, which is 10 in the paper's
            section 4.2 and 0 in its models.

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
        generator_lr: float = 5e-5,
        discriminator_lr: float = 2e-4,
        betas: tuple[float, float] = (0.0, 0.999),
        critic_steps: int = 2,
        **training: Any,
    ) -> None:
        check_sizes("BigGANDeep", resolution, attention, initialisation)
        require_at_least(1, channels=channels, latent_dim=latent_dim, width=width)
        require_at_least(0, num_classes=num_classes, epsilon=epsilon, orthogonal=orthogonal)
        require_at_least(1 if num_classes else 0, shared_dim=shared_dim)  # without it the generator would see no class
        if width % BOTTLENECK:
            raise ValueError(f"width of a BigGANDeep is a multiple of {BOTTLENECK}; got {width}")
        generator = Generator(resolution, channels, latent_dim, width, num_classes, shared_dim, attention, epsilon)
        discriminator = Discriminator(resolution, channels, width, num_classes, attention)
        super().__init__(
            initialise(generator, initialisation),
            initialise(discriminator, initialisation),
            objective_named(objective),
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
