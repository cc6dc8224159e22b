"""BigGAN: Brock, Donahue and Simonyan 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
arXiv:1809.11096, appendix B, figure 15. Networks checked against the authors' PyTorch code
(ajbrock/BigGAN-PyTorch, BigGAN.py and layers.py), parameter by parameter.

The latent is split into chunks: the first becomes the 4x4 map; each later one, together with an embedding of the class,
determines gain and bias of the batch norms of one block. The discriminator sums its features over all positions and
projects the class embedding onto them (Miyato and Koyama 2018, arXiv:1802.05637). All layers have spectral norm except
the shared embedding of classes. The generator has orthogonal regularisation; the loss is the hinge loss.

Differences from the authors' code: 3x3 convolutions are fused with the halving after them and, in float32, with the
doubling before them (see `zoo.layers.resampling`), and 1x1 convolutions of the shortcuts come before doubling and after
halving, which gives the same values for less work; the output of the first linear layer has positions first and
channels last (as in the TF-Hub modules), which reorders its units. Resolution 16 is ours.
Without classes (`num_classes=0`) the condition of a block is its chunk of the latent alone, and the
discriminator does not project; without chunks as well, batch norm has plain gains and biases.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from zoo.errors import require_at_least
from zoo.gan import GAN
from zoo.layers.attention import SelfAttention
from zoo.layers.conditional_norm import ConditionalBatchNorm, UnconditionalBatchNorm
from zoo.layers.orthogonal import orthogonal_penalty
from zoo.layers.rectifier import relu
from zoo.layers.spectral import (
    Spectral,
    SpectralConv2d,
    SpectralDoublingConv2d,
    SpectralEmbedding,
    SpectralHalvingConv2d,
    SpectralLinear,
)
from zoo.layers.wrappers import plain_name
from zoo.training.batch import Batch
from zoo.training.objectives import Terms
from zoo.training.objectives import objective as objective_named

Initialisation = Literal["orthogonal", "normal"]

GENERATOR_WIDTHS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    512: (16, 16, 8, 8, 4, 2, 1, 1),
}
"""Channels at 4x4, 8x8, ... up to the resolution, in multiples of `width`."""

DISCRIMINATOR_WIDTHS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
    512: (1, 1, 2, 4, 8, 8, 16, 16),
}
"""Channels after each block of the discriminator, in multiples of `width`."""

LATENT_DIMS = {16: 120, 32: 120, 64: 120, 128: 120, 256: 140, 512: 128}
"""The papers' lengths of the latent; 16 to 64 px are like 128 px."""


def halvings(resolution: int) -> int:
    """Return the number of discriminator blocks that halve the size: down to 4x4, but to 8x8 at 32 px."""
    return 2 if resolution <= 32 else resolution.bit_length() - 3


class GeneratorBlock(nn.Module):
    """Residual block that doubles the size: (B, in, H, W) to (B, out, 2H, 2W), with two conditional batch norms."""

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1, self.conv2 = SpectralDoublingConv2d(inputs, outputs), SpectralConv2d(outputs, outputs)
        self.shortcut = SpectralConv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Apply norm, ReLU, doubling and convolution, then norm, ReLU and convolution, and add the shortcut."""
        h = self.conv1(relu(self.norm1(x, condition)))
        h = self.conv2(relu(self.norm2(h, condition)))
        result: Tensor = h + doubled(self.shortcut(x))
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
        skip_latents: bool,
        attention: int,
        epsilon: float,
    ) -> None:
        super().__init__()
        widths = [multiple * width for multiple in GENERATOR_WIDTHS[resolution]]
        self.chunk = latent_dim // len(widths) if skip_latents else latent_dim
        self.embed = nn.Embedding(num_classes, shared_dim) if num_classes and shared_dim else None
        self.conditional = bool(num_classes)
        condition_dim = (shared_dim if num_classes else 0) + (self.chunk if skip_latents else 0)
        project: Callable[[int], nn.Module] = partial(SpectralLinear, condition_dim, bias=False)
        if num_classes and not shared_dim:
            project = partial(nn.Embedding, num_classes)
        norm: Callable[[int], nn.Module] = partial(UnconditionalBatchNorm, eps=epsilon)
        if num_classes or skip_latents:
            norm = partial(ConditionalBatchNorm, project=project, eps=epsilon)
        self.stem = SpectralLinear(self.chunk, 4 * 4 * widths[0])
        self.blocks = nn.ModuleList(GeneratorBlock(before, after, norm) for before, after in pairwise(widths))
        self.attention = nn.ModuleDict(
            {str(i): SelfAttention(w) for i, w in enumerate(widths[1:]) if 8 * 2**i == attention}
        )  # by the index of the block before it
        self.norm = UnconditionalBatchNorm(widths[-1], eps=epsilon)
        self.to_image = SpectralConv2d(widths[-1], channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] from latents (B, Z) and, if conditional, class indices (B,)."""
        first, *chunks = torch.split(z, self.chunk, dim=1)
        classes = labels if self.conditional else None
        if self.embed is not None:
            classes = self.embed(labels)
        x = as_map(self.stem(first))
        for i, block in enumerate(self.blocks):
            condition = classes
            if chunks:
                condition = chunks[i] if classes is None else torch.cat([classes, chunks[i]], dim=1)
            x = block(x, condition)
            if str(i) in self.attention:
                x = self.attention[str(i)](x)
        return torch.tanh(self.to_image(relu(self.norm(x))))


class DiscriminatorBlock(nn.Module):
    """Residual block: (B, in, H, W) to (B, out, H, W), or half the size.

    Args:
        inputs: number of input channels.
        outputs: number of output channels, and of channels between the two convolutions (the authors' `wide`).
        halve: whether the block ends with average pooling, which is fused with the second convolution.
        first: whether the input is the image; then there is no ReLU before the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool, first: bool) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        self.conv1 = SpectralConv2d(inputs, outputs)
        self.conv2 = SpectralHalvingConv2d(outputs, outputs) if halve else SpectralConv2d(outputs, outputs)
        self.shortcut = SpectralConv2d(inputs, outputs, 1) if halve or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Apply ReLU and convolution twice, add the shortcut. The first ReLU is not in place: the shortcut needs x."""
        h = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        if self.halve:
            x = avg_pool2d(x, 2)
        result: Tensor = h + self.shortcut(x)
        return result


class Projection(nn.Module):
    """Projection discriminator head: `linear(h) + embed(y) . h`, h the sum over all positions of `relu(x)`."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.linear = SpectralLinear(inputs, 1)
        self.embed = SpectralEmbedding(num_classes, inputs) if num_classes else None

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Return scores (B,) of maps (B, C, H, W). As in the authors' code, h is a sum, not a mean; in float32
        at least.
        """
        features = relu(x).sum((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
        features = features.to(self.linear.weight.dtype)
        scores: Tensor = self.linear(features).squeeze(1)
        return scores if self.embed is None else scores + (self.embed(labels) * features).sum(1)


class Discriminator(nn.Module):
    """Discriminator from images to scores, see the module docstring."""

    def __init__(self, resolution: int, channels: int, width: int, num_classes: int, attention: int) -> None:
        super().__init__()
        widths = [channels, *(multiple * width for multiple in DISCRIMINATOR_WIDTHS[resolution])]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            halve = i < halvings(resolution)
            layers.append(DiscriminatorBlock(before, after, halve, first=i == 0))
            if halve and resolution // 2 ** (i + 1) == attention:
                layers.append(SelfAttention(after))
        self.body = nn.Sequential(*layers)
        self.readout = Projection(widths[-1], num_classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B,) of images (B, C, H, W) in [-1, 1] and, if conditional, class indices (B,)."""
        scores: Tensor = self.readout(self.body(images), labels)
        return scores


def doubled(x: Tensor) -> Tensor:
    """Double the size of maps with nearest neighbours: (B, C, H, W) to (B, C, 2H, 2W)."""
    return interpolate(x, scale_factor=2.0)


def as_map(x: Tensor) -> Tensor:
    """View features (B, 16 * C) as maps (B, C, 4, 4) in channels_last memory format, without a copy."""
    return x.view(x.shape[0], 4, 4, -1).permute(0, 3, 1, 2)


def initialise(network: nn.Module, how: Initialisation) -> nn.Module:
    """Initialise weights and embeddings as orthogonal (paper, section 3) or N(0, 0.02) (the authors' CIFAR script).

    Biases and gains keep torch's initialisation, as in the authors' code.
    """
    for module in network.modules():
        if isinstance(module, (Spectral, nn.Embedding)):
            if how == "orthogonal":
                nn.init.orthogonal_(module.weight)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, Spectral):
            module.restart()
    return network


def check_sizes(name: str, resolution: int, attention: int, initialisation: str) -> None:
    """Check arguments that `BigGAN` and `BigGANDeep` share.

    Raises:
        ValueError: for values that neither network offers.
    """
    if resolution not in GENERATOR_WIDTHS:
        raise ValueError(f"resolution of a {name} is one of {', '.join(map(str, GENERATOR_WIDTHS))}; got {resolution}")
    if attention not in (0, 8, 16, 32, 64, 128, 256):
        raise ValueError(f"attention of a {name} is the size of a map: 8, 16, ... 256, or 0 for none; got {attention}")
    if initialisation not in ("orthogonal", "normal"):
        raise ValueError(f"initialisation of a {name} is 'orthogonal' or 'normal'; got {initialisation!r}")


class OrthogonalGAN(GAN):
    """Base class of models whose generator has orthogonal regularisation."""

    orthogonal: float
    loss_settings = ("objective", "orthogonal")

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the objective's terms and, unless `orthogonal` is 0, the regularisation.

        As in the authors' code it applies to all weights but those of the shared class embedding, before spectral norm.
        """
        terms = super().generator_loss(real, fake)
        if not self.orthogonal:
            return terms
        named = self.generator.named_parameters()
        weights = [weight for name, weight in named if plain_name(name) != "embed.weight"]
        return {**terms, "orthogonal": orthogonal_penalty(weights, self.orthogonal)}


class BigGAN(OrthogonalGAN):
    """BigGAN. `BigGAN()` is the paper's network at 128 px, with its learning rates and two discriminator steps.

    `BigGAN(resolution=32, width=64, latent_dim=128, num_classes=10, shared_dim=0, skip_latents=False, attention=0,
    initialisation="normal")` is the network of the authors' CIFAR-10 script.

    Args:
        resolution: height and width of the images: 16, 32, 64, 128, 256 or 512 pixels.
        channels: channels of the images.
        latent_dim: length of the latents; 0 takes the paper's for the resolution. Reduced to a multiple of the number
            of chunks.
        width: factor of all widths, `ch` in the authors' code; 96, or 64 in the ablations.
        num_classes: number of classes; 0 for an unconditional model.
        shared_dim: length of the class embedding that all batch norms share; with 0 each batch norm has a gain and a
            bias for every class instead, and `skip_latents` must be False.
        skip_latents: whether the latent is split into chunks, one for each block ("skip-z"); if not, all of it becomes
            the 4x4 map.
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
        ValueError: for sizes that are not offered or do not go together.
    """

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        latent_dim: int = 0,
        width: int = 96,
        num_classes: int = 1000,
        shared_dim: int = 128,
        skip_latents: bool = True,
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
        check_sizes("BigGAN", resolution, attention, initialisation)
        require_at_least(1, channels=channels, width=width)
        require_at_least(0, latent_dim=latent_dim, num_classes=num_classes, shared_dim=shared_dim)
        require_at_least(0, epsilon=epsilon, orthogonal=orthogonal)
        slots = len(GENERATOR_WIDTHS[resolution])
        length = latent_dim or LATENT_DIMS[resolution]
        if skip_latents:
            if length < slots:
                raise ValueError(
                    f"latent_dim must be at least {slots}, one for each chunk at {resolution} px; got {length}"
                )
            length -= length % slots
            if num_classes and not shared_dim:
                raise ValueError("shared_dim=0 has no place for chunks of the latent; set skip_latents=False")
        generator = Generator(
            resolution, channels, length, width, num_classes, shared_dim, skip_latents, attention, epsilon
        )
        discriminator = Discriminator(resolution, channels, width, num_classes, attention)
        super().__init__(
            initialise(generator, initialisation),
            initialise(discriminator, initialisation),
            objective_named(objective),
            resolution=resolution,
            channels=channels,
            latent_dim=length,
            num_classes=num_classes,
            generator_lr=generator_lr,
            discriminator_lr=discriminator_lr,
            betas=betas,
            critic_steps=critic_steps,
            **training,
        )
        self.orthogonal = orthogonal
        self.save_hyperparameters(logger=False)
