"""R3GAN: Huang, Gokaslan, Kuleshov and Tompkin 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN",
arXiv:2501.05441. Networks, initialisation, loss and schedules checked against the authors' code (brownvc/R3GAN:
R3GAN/Networks.py, Resamplers.py, Trainer.py, train.py).

Both networks are stacks of residual blocks without normalisation: 1x1 to twice the channels, 3x3 in groups, 1x1 back,
with a biased leaky ReLU between. The last layer of each block starts as 0 (Zhang et al. 2019, "Fixup Initialization",
arXiv:1901.09321), so every block starts as the identity. Sizes change bilinearly, and channels by a 1x1 convolution at
the smaller size. The generator starts from learnt 4x4 maps, each multiplied by a linear function of the latent; the
discriminator ends in the mirror image of that. Images are not bounded by a tanh.

The loss pairs each generated image with a real one of the same class (relativistic) and has zero-centred gradient
penalties on both (R1 and R2). Everything that the paper schedules follows half a cosine over `decay_images`: learning
rates, penalties and Adam's second beta towards a last value, the half-life of the average and the strength of the
augmentation upwards from 0.

Differences from the authors' code: a round of both players has one batch of real images, theirs has one for each
player. The bias of a leaky ReLU is that of the convolution before it, which is the same. Mixed precision leaves the
maps of 4x4 pixels in float32, as theirs does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.errors import require_at_least
from zoo.gan import GAN
from zoo.layers.convolution import Conv2d
from zoo.layers.precision import without_autocast
from zoo.layers.rectifier import leaky_relu
from zoo.layers.resampling import BilinearDoubling, BilinearHalving
from zoo.training.clock import Schedule, ScheduleKind
from zoo.training.objectives import objective as objective_named
from zoo.training.player import Player

SLOPE = 0.2
"""Slope of the leaky ReLUs on the negative side."""
EXPANSION = 2
"""Ratio of the channels inside a block to those between blocks."""
WIDE_UP_TO = 32
"""Resolution up to which the maps have the full width; each further doubling halves it."""


def he_normal(weight: Tensor, gain: float = 1.0) -> Tensor:
    """Draw a weight (out, in, ...) from N(0, gain^2 / fan_in) in place, and return it; gain 0 makes it 0."""
    drawn: Tensor = nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))
    return drawn


def pointwise(inputs: int, outputs: int, gain: float = 1.0, bias: bool = False) -> Conv2d:
    """Return a 1x1 convolution."""
    return initialised(Conv2d(inputs, outputs, 1, bias=bias), gain)


def initialised(layer: Conv2d, gain: float) -> Conv2d:
    """Draw the weight of a convolution, see `he_normal`; its bias starts as 0."""
    he_normal(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """Residual block that starts as the identity: (B, C, H, W) to the same shape.

    Args:
        width: channels C.
        group_size: channels in each group of the 3x3 convolution.
        depth: number of blocks in the network, whose initial weights are the smaller for it.
    """

    def __init__(self, width: int, group_size: int, depth: int) -> None:
        super().__init__()
        hidden = EXPANSION * width
        # Fix-up: depth^(-1 / (2 m - 2)) for blocks of m = 3 layers, times He's gain.
        gain = math.sqrt(2 / (1 + SLOPE**2)) * depth**-0.25
        self.expand = pointwise(width, hidden, gain, bias=True)
        self.grouped = initialised(Conv2d(hidden, hidden, 3, padding=1, groups=hidden // group_size), gain)
        self.contract = pointwise(hidden, width, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Add the three convolutions' result to the maps."""
        h = leaky_relu(self.expand(x), SLOPE, inplace=True)
        h = leaky_relu(self.grouped(h), SLOPE, inplace=True)
        result: Tensor = x + self.contract(h)
        return result


class Generator(nn.Module):
    """Generator from latents to images, see the module docstring.

    Args:
        channels: channels of the images.
        latent_dim: length of the latents, and of the embedding of the classes.
        widths: channels of the maps at 4x4, 8x8 and so on up to the resolution of the images.
        blocks: number of blocks at each of these sizes.
        group_size: channels in each group of a 3x3 convolution.
        num_classes: number of classes; 0 for none.
    """

    def __init__(
        self, channels: int, latent_dim: int, widths: tuple[int, ...], blocks: int, group_size: int, num_classes: int
    ) -> None:
        super().__init__()
        depth = blocks * len(widths)
        self.embed = nn.Embedding(num_classes, latent_dim) if num_classes else None
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, std=1 / math.sqrt(num_classes))
        self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.modulate = nn.Linear(latent_dim * (2 if num_classes else 1), widths[0], bias=False)
        he_normal(self.modulate.weight)
        self.first = nn.Sequential(*(Block(widths[0], group_size, depth) for _ in range(blocks)))
        self.stages = nn.ModuleList(
            nn.Sequential(
                *([pointwise(before, after)] if before != after else []),
                BilinearDoubling(after),
                *(Block(after, group_size, depth) for _ in range(blocks)),
            )
            for before, after in pairwise(widths)
        )
        self.to_image = pointwise(widths[-1], channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W), not bounded, from latents (B, Z) and, if conditional, class indices (B,)."""
        with without_autocast(z.device):
            if self.embed is not None:
                z = torch.cat([z, self.embed(labels)], dim=1)
            x = self.basis * self.modulate(z.to(self.basis.dtype))[:, :, None, None]
            x = self.first(x.contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            x = stage(x)
        images: Tensor = self.to_image(x)
        return images


class Discriminator(nn.Module):
    """Discriminator from images to scores, see the module docstring. Arguments as of `Generator`."""

    def __init__(self, channels: int, widths: tuple[int, ...], blocks: int, group_size: int, num_classes: int) -> None:
        super().__init__()
        depth = blocks * len(widths)
        self.from_image = pointwise(channels, widths[-1])
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(Block(before, group_size, depth) for _ in range(blocks)),
                BilinearHalving(before),
                *([pointwise(before, after)] if before != after else []),
            )
            for before, after in pairwise(widths[::-1])
        )
        features = widths[0]
        self.last = nn.Sequential(*(Block(features, group_size, depth) for _ in range(blocks)))
        self.basis = nn.Parameter(torch.randn(features, 4, 4) / 4)
        self.readout = nn.Linear(features, features if num_classes else 1, bias=False)
        he_normal(self.readout.weight)
        self.embed = nn.Embedding(num_classes, features) if num_classes else None
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, std=1 / math.sqrt(num_classes * features))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B,) of images (B, C, H, W) and, if conditional, class indices (B,)."""
        # A 1x1 kernel has no memory format of its own, nor has an image of one channel.
        x = self.from_image(images.contiguous(memory_format=torch.channels_last))
        x = x.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        with without_autocast(x.device):
            x = self.last(x.to(self.basis.dtype))
            features = self.readout((x * self.basis).sum((2, 3)))
            scores: Tensor = features[:, 0] if self.embed is None else (features * self.embed(labels)).sum(1)
            return scores


PARTS = (Discriminator, Block, Conv2d, BilinearHalving, nn.Sequential, nn.ModuleList, nn.Linear, nn.Embedding)
"""Classes of the parts of the discriminator."""


class R3GAN(GAN):
    """R3GAN. `R3GAN()` is the authors' CIFAR-10 model, without classes.

    The recipes `r3gan_cifar10` and `r3gan_ffhq256` have the settings of the authors' other presets beside their own.

    Args:
        resolution: height and width of the images, a power of two from 8 to 1024 pixels.
        channels: channels of the images.
        latent_dim: length of the latents, and of the class embedding that the generator sees beside them.
        width: channels of the maps up to 32x32; from 64 px on they halve with each doubling of the size.
        widths: channels of the maps at 4x4, 8x8 and so on up to the resolution, in place of `width`; empty for the rule
            of `width`.
        blocks: residual blocks at each size of the maps.
        group_size: channels in each group of a 3x3 convolution; it divides twice each width.
        num_classes: number of classes; 0 for an unconditional model. Generated images have the classes of the real ones
            that they are paired with.
        objective: `relativistic` (the paper's), `non_saturating`, `saturating`, `hinge` or `least_squares`.
        r1: weight of the zero-centred gradient penalty on real images at the start, the authors' gamma.
        r2: weight of the penalty on generated images at the start, in the paper that of `r1`.
        penalty_final: share of `r1` and `r2` that is left at `decay_images`.
        generator_lr: Adam's learning rate for the generator at the start.
        discriminator_lr: Adam's learning rate for the discriminator at the start.
        lr_schedule: how the learning rates fall, `cosine` as the authors', `linear` or `constant`.
        lr_horizon: images at which they have fallen; 0 for `decay_images`.
        lr_final: share of the learning rates that is left then.
        betas: Adam's betas at the start.
        beta2_final: Adam's second beta at `decay_images`.
        average_halflife: half-life of the generator's moving average (EMA) at `decay_images`, in images; it is 0 at the
            start.
        augment_strength: probability of each transformation of `augment: pipeline` at `decay_images`, which rises from
            0; without effect on other augmentations.
        decay_images: images over which all of these move to their last values, along half a cosine.
        training: settings of the training loop, see `zoo.GAN`.

    Raises:
        ValueError: for sizes that are not offered.
    """

    loss_settings = ("objective", "penalty_final", "beta2_final", "decay_images")
    schedule_settings = (*GAN.schedule_settings, "decay_images")

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        latent_dim: int = 64,
        width: int = 768,
        widths: tuple[int, ...] = (),
        blocks: int = 2,
        group_size: int = 16,
        num_classes: int = 0,
        objective: str = "relativistic",
        r1: float = 0.05,
        r2: float = 0.05,
        penalty_final: float = 0.1,
        generator_lr: float = 2e-4,
        discriminator_lr: float = 2e-4,
        lr_schedule: ScheduleKind = "cosine",
        lr_horizon: int = 0,
        lr_final: float = 0.25,
        betas: tuple[float, float] = (0.0, 0.9),
        beta2_final: float = 0.99,
        average_halflife: int = 5_000_000,
        augment_strength: float = 0.55,
        decay_images: int = 20_000_000,
        **training: Any,
    ) -> None:
        sizes = stage_widths(resolution, width, tuple(widths), group_size)
        require_at_least(1, blocks=blocks, decay_images=decay_images, channels=channels, latent_dim=latent_dim)
        require_at_least(0, penalty_final=penalty_final, average_halflife=average_halflife, num_classes=num_classes)
        if not 0 <= augment_strength <= 1:
            raise ValueError(f"augment_strength is a probability, from 0 to 1; got {augment_strength}")
        if not 0 <= beta2_final < 1:
            raise ValueError(f"beta2_final must lie in [0, 1); got {beta2_final}")
        super().__init__(
            Generator(channels, latent_dim, sizes, blocks, group_size, num_classes),
            Discriminator(channels, sizes, blocks, group_size, num_classes),
            objective_named(objective),
            resolution=resolution,
            channels=channels,
            latent_dim=latent_dim,
            num_classes=num_classes,
            generator_lr=generator_lr,
            discriminator_lr=discriminator_lr,
            lr_schedule=lr_schedule,
            lr_horizon=lr_horizon or decay_images,
            lr_final=lr_final,
            r1=r1,
            r2=r2,
            betas=betas,
            average_halflife=average_halflife,
            **training,
        )
        self.decay = Schedule("cosine", decay_images)
        self.r1, self.r2, self.penalty_final = r1, r2, penalty_final
        self.first_beta2, self.beta2_final, self.average_halflife = self.betas[1], beta2_final, average_halflife
        self.augment_strength_final = augment_strength
        # The half-life rises with the images seen by itself.
        self.moving_average = replace(self.moving_average, rampup=0.0)
        self.before_round(0)
        self.save_hyperparameters(logger=False)

    def before_round(self, progress: int) -> None:
        """Set penalties, second beta, half-life and augmentation to their values after `progress` images."""
        left = self.decay.at(progress)  # from 1 to 0
        penalty = self.penalty_final + (1 - self.penalty_final) * left
        assert self.objective is not None
        self.objective.r1, self.objective.r2 = self.r1 * penalty, self.r2 * penalty
        self.objective.affine = self.scores_are_affine
        self.betas = self.betas[0], self.beta2_final + (self.first_beta2 - self.beta2_final) * left
        self.moving_average = replace(self.moving_average, halflife=self.average_halflife * (1 - left))
        self.augment_strength = self.augment_strength_final * (1 - left)

    @property
    def scores_are_affine(self) -> bool:
        """Whether `zoo.training.penalties.affine_scores` holds: for the discriminator of this file, not compiled.

        A variant may score by other outputs or another network, and neither a compiled layer nor one of another class,
        put into the network, reports its bias.
        """
        network = self.discriminator
        own = type(self).score is GAN.score and type(network) is Discriminator
        return own and all(_reports_its_bias(module) for module in network.modules())

    def configure_optimizer(self, player: Player, parameters: list[nn.Parameter]) -> Optimizer:
        """Return Adam, which takes the betas of the round at each of its steps."""
        optimizer = super().configure_optimizer(player, parameters)

        def take_betas(optimizer: Optimizer, *_: Any) -> None:
            for group in optimizer.param_groups:
                group["betas"] = self.betas

        optimizer.register_step_pre_hook(take_betas)
        return optimizer


def _reports_its_bias(module: nn.Module) -> bool:
    """Return whether a part of the discriminator is one of this file's, as it was built."""
    if isinstance(module, nn.Linear) and module.bias is not None:
        return False
    return type(module) in PARTS and getattr(module, "_compiled_call_impl", None) is None


def stage_widths(resolution: int, width: int, widths: tuple[int, ...], group_size: int) -> tuple[int, ...]:
    """Return the channels of the maps at 4x4, 8x8 and so on up to the resolution.

    Args:
        resolution: height and width of the images.
        width: channels up to 32x32.
        widths: channels at each size, in place of `width`; may be empty.
        group_size: channels in each group of a 3x3 convolution.

    Raises:
        ValueError: for a resolution that is not offered, or widths that do not fit it or the groups.
    """
    if resolution not in [2**i for i in range(3, 11)]:
        raise ValueError(f"resolution of an R3GAN is a power of two from 8 to 1024; got {resolution}")
    sizes = [2**i for i in range(2, resolution.bit_length())]  # 4, 8, ..., resolution
    require_at_least(1, group_size=group_size)
    if widths and len(widths) != len(sizes):
        raise ValueError(
            f"widths of an R3GAN of {resolution} px has {len(sizes)} numbers, one for each size from 4 to "
            f"{resolution}; got {len(widths)}: {widths}"
        )
    found = widths or tuple(width * WIDE_UP_TO // max(size, WIDE_UP_TO) for size in sizes)
    for channels, size in zip(found, sizes):
        if channels < 1 or EXPANSION * channels % group_size:
            raise ValueError(
                f"group_size of an R3GAN divides twice the channels at each size; got {group_size}, and "
                f"{channels} channels at {size}x{size}. Choose another width, or another group_size"
            )
    return found
