"""ProGAN: Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs for Improved Quality, Stability, and
Variation", arXiv:1710.10196. Networks, loss and schedule checked against the authors' code
(tkarras/progressive_growing_of_gans: networks.py, loss.py, train.py).

Training starts at 4x4 pixels; the resolution doubles step by step, and each new block is faded in. Growth is a function
of images seen: all blocks exist from the start, and a resumed run has no state of growth to restore.

Where the authors' two implementations differ, this follows the paper and the Theano code: bias and rectifier come
before the 2x2 average pooling (the TensorFlow code fuses the pooling with the convolution, so they come after it).

Three computations differ with the same result. In the generator a doubling and the convolution after it are one
operation (see `zoo.layers.resampling`). Networks work at the resolution of the stage instead of on images repeated
up to the full size, and the gradient's norm is divided by the factor that this changes (see `discriminator_loss`).
The moving average has a half-life in images: the authors' decay of 0.999 per batch of 16 is a half-life of
`16 * log(0.5) / log(0.999) = 11,085` images.

Left out: the Theano code's ramp-up of the learning rate over the first 40,000 images.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, linear

from zoo.errors import require_at_least
from zoo.gan import GAN
from zoo.layers.equalized import EqualizedConv2d, EqualizedDoublingConv2d, EqualizedLinear, scaled, unequalize
from zoo.layers.labels import one_hot
from zoo.layers.minibatch_stddev import ConsecutiveDeviation, MinibatchStdDev, NeighbourDeviation
from zoo.layers.normalization import PixelNorm
from zoo.layers.precision import without_autocast
from zoo.layers.rectifier import leaky_relu
from zoo.models.progan_growth import GrowingAverage, Growth, Stage, Widths
from zoo.training.auxiliary import class_loss
from zoo.training.batch import Batch
from zoo.training.objectives import Objective, Terms, Wasserstein, critic_objective
from zoo.training.player import Player

Variant = Literal["authors", "pytorch_GAN_zoo", "pytorch_GAN_zoo_old"]
DEVIATIONS: dict[str, type[nn.Module]] = {
    "authors": MinibatchStdDev,
    "pytorch_GAN_zoo": NeighbourDeviation,
    "pytorch_GAN_zoo_old": ConsecutiveDeviation,
}


class Generator(nn.Module):
    """Generator: from the latent to 4x4, then blocks that double the size; a linear RGB head for each resolution."""

    def __init__(
        self,
        resolution: int,
        channels: int,
        latent_dim: int,
        widths: Widths,
        num_classes: int,
        variant: Variant,
        pixel_norm: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes, self.pixel_norm = num_classes, pixel_norm
        self.grown = Stage(resolution)
        first = widths.at(4)
        self.normalise = PixelNorm()
        # Gain sqrt(2) / 4: the authors count the fan-in of this layer as that of a 4x4 convolution.
        self.dense = EqualizedLinear(latent_dim + num_classes, first * 16, gain=math.sqrt(2) / 4)
        # One bias for each channel, added after the reshape; in pytorch_GAN_zoo one for each unit.
        self.dense.bias = nn.Parameter(torch.zeros(first if variant == "authors" else (first, 4, 4)))
        self.first = EqualizedConv2d(first, first, 3)
        sizes = [2**i for i in range(3, resolution.bit_length())]  # 8, 16, ..., resolution
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [
                    EqualizedDoublingConv2d(widths.at(size // 2), widths.at(size)),
                    EqualizedConv2d(widths.at(size), widths.at(size), 3),
                ]
            )
            for size in sizes
        )
        self.to_rgb = nn.ModuleList(EqualizedConv2d(widths.at(size), channels, 1, gain=1.0) for size in [4, *sizes])

    def forward(self, z: Tensor, labels: Tensor | None = None, stage: Stage | None = None) -> Tensor:
        """Return images (B, C, R, R), not bounded, at the stage's resolution R, from latents (B, Z) and labels (B,).

        Without a stage the network is fully grown.
        """
        stage = stage or self.grown
        if self.num_classes:
            assert labels is not None
            z = torch.cat([z, one_hot(labels, self.num_classes, z.dtype)], dim=1)
        x = self._from_latent(self.normalise(z))
        x = self._activate(self.first(x))
        depth = stage.resolution.bit_length() - 3
        before = x
        for block in list(self.blocks)[:depth]:
            before = x
            for convolution in block.children():
                x = self._activate(convolution(x))
        images: Tensor = self.to_rgb[depth](x)
        if stage.alpha < 1:
            old = interpolate(self.to_rgb[depth - 1](before), scale_factor=2, mode="nearest")
            images = torch.lerp(old, images, stage.alpha)
        return images

    def _from_latent(self, z: Tensor) -> Tensor:
        x = linear(*scaled(z, self.dense.weight, self.dense.scale)).view(z.shape[0], -1, 4, 4)
        bias = self.dense.bias
        return self._activate(x + (bias if bias.ndim == 3 else bias[:, None, None]))

    def _activate(self, x: Tensor) -> Tensor:
        x = leaky_relu(x, 0.2)
        return self.normalise(x) if self.pixel_norm else x


class Discriminator(nn.Module):
    """Discriminator: an RGB head for each resolution, blocks that halve the size, minibatch stddev at 4x4."""

    def __init__(self, resolution: int, channels: int, widths: Widths, num_classes: int, variant: Variant) -> None:
        super().__init__()
        self.grown = Stage(resolution)
        sizes = [2**i for i in range(3, resolution.bit_length())]  # 8, 16, ..., resolution
        self.from_rgb = nn.ModuleList(EqualizedConv2d(channels, widths.at(size), 1) for size in [4, *sizes])
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [
                    EqualizedConv2d(widths.at(size), widths.at(size), 3),
                    EqualizedConv2d(widths.at(size), widths.at(size // 2), 3),
                ]
            )
            for size in sizes
        )
        last = widths.at(4)
        self.deviation = DEVIATIONS[variant]()
        self.last = EqualizedConv2d(last + 1, last, 3)
        self.dense = EqualizedLinear(last * 16, widths.at(2))
        self.readout = EqualizedLinear(widths.at(2), 1 + num_classes, gain=1.0)

    def forward(self, images: Tensor, stage: Stage | None = None) -> Tensor:
        """Return logits (B, 1 + classes), realness first, of images (B, C, R, R) at the stage's resolution R.

        Without a stage the network is fully grown.
        """
        stage = stage or self.grown
        depth = stage.resolution.bit_length() - 3
        x = leaky_relu(self.from_rgb[depth](images), 0.2)
        for level in range(depth, 0, -1):
            for convolution in list(self.blocks)[level - 1].children():
                x = leaky_relu(convolution(x), 0.2)
            x = avg_pool2d(x, 2)
            if level == depth and stage.alpha < 1:
                old = leaky_relu(self.from_rgb[depth - 1](avg_pool2d(images, 2)), 0.2)
                x = torch.lerp(old, x, stage.alpha)
        x = leaky_relu(self.last(self.deviation(x)), 0.2)
        x = leaky_relu(self.dense(x.flatten(1)), 0.2)
        with without_autocast(x.device):  # in bf16 the gradient of the drift term would be lost in the adversarial one
            logits: Tensor = self.readout(x.to(self.readout.weight.dtype))
        return logits


class ProGAN(GAN):
    """Progressively grown GAN. `ProGAN(resolution=1024)` is the paper's CelebA-HQ network.

    Args:
        resolution: final height and width of the images, a power of two from 8 to 1024.
        channels: channels of the images.
        latent_dim: length of the latents, which the generator normalises to the unit hypersphere.
        width: largest number of channels of any block (the authors' fmap_max).
        width_base: approximate product of channels and resolution of the high-resolution blocks (their fmap_base).
        num_classes: number of classes; 0 for an unconditional model. Classes enter the generator with the latent, and
            the discriminator also classifies (AC-GAN), as in the authors' code.
        hold_images: images at each resolution before the next is faded in; or a mapping such as {4: 20000, 16: 100000},
            each number valid from its resolution on: an image of 16 px costs a sixteenth of one of 64.
        fade_images: images over which a new block is faded in.
        initial_resolution: resolution at which growth begins; `resolution` for networks that are fully grown from the
            start, such as trained ones that are fine-tuned.
        objective: `wasserstein` (the paper's, with gradient penalty and drift), or `non_saturating`, `saturating`,
            `hinge`, `least_squares` or `relativistic`, for which `r1` and `r2` take the place of `penalty`.
        r1_every: earlier name of `penalty_every`.
        penalty: weight of the gradient penalty of `wasserstein`.
        target_norm: norm that the penalty of `wasserstein` demands of the discriminator's gradient at full resolution;
            750 in the paper's CIFAR-10 run.
        drift: weight of the squared scores of real images in `wasserstein`, which keeps the scores near 0.
        pixel_norm: whether the generator's activations are normalised; the latent always is. False demonstrates what
            the normalisation prevents (`docs/alarms.md`).
        equalized: whether weights have an equalized learning rate; if not, they start with He's deviation and learn at
            the unscaled rate.
        variant: `authors`, or `pytorch_GAN_zoo` for weights of that port: a bias for each unit of the first layer, and
            its minibatch stddev (see `zoo.layers.minibatch_stddev.NeighbourDeviation`); `pytorch_GAN_zoo_old` has the
            one that the port had before July 2019.
        generator_lr: Adam's learning rate for the generator.
        discriminator_lr: Adam's learning rate for the discriminator.
        betas: Adam's betas.
        average_halflife: half-life of the generator's moving average (EMA), in images.
        training: settings of the training loop, see `zoo.GAN`.

    Raises:
        ValueError: for a resolution, a schedule or an objective that is impossible.
    """

    objective: Objective
    couples_batch = True  # minibatch stddev
    loss_settings = ("objective", "r1_every", "penalty", "target_norm", "drift")
    schedule_settings = (*GAN.schedule_settings, "hold_images", "fade_images")

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        latent_dim: int = 512,
        width: int = 512,
        width_base: int = 8192,
        num_classes: int = 0,
        hold_images: int | dict[int, int] = 800_000,
        fade_images: int = 800_000,
        initial_resolution: int = 4,
        objective: str = "wasserstein",
        r1_every: int = 1,
        penalty: float = 10.0,
        target_norm: float = 1.0,
        drift: float = 0.001,
        pixel_norm: bool = True,
        equalized: bool = True,
        variant: Variant = "authors",
        generator_lr: float = 1e-3,
        discriminator_lr: float = 1e-3,
        betas: tuple[float, float] = (0.0, 0.99),
        average_halflife: int = 11_085,
        **training: Any,
    ) -> None:
        if resolution not in [2**i for i in range(3, 11)]:
            raise ValueError(f"resolution of a ProGAN is a power of two from 8 to 1024; got {resolution}")
        if variant not in get_args(Variant):
            raise ValueError(f"variant of a ProGAN is one of {', '.join(get_args(Variant))}; got {variant!r}")
        if r1_every != 1:
            every = training.get("penalty_every", 1)
            if every not in (1, r1_every):
                raise ValueError(
                    f"r1_every is the earlier name of penalty_every: give one of them; got {r1_every}, {every}"
                )
            training = {**training, "penalty_every": r1_every}
        require_at_least(1, channels=channels, latent_dim=latent_dim, r1_every=r1_every)
        require_at_least(0, num_classes=num_classes, drift=drift)
        growth = Growth(resolution, hold_images, fade_images, initial_resolution)
        widths = Widths(width_base, width)
        widths.check(resolution)
        generator = Generator(resolution, channels, latent_dim, widths, num_classes, variant, pixel_norm)
        discriminator = Discriminator(resolution, channels, widths, num_classes, variant)
        if not equalized:
            unequalize(generator)
            unequalize(discriminator)
        super().__init__(
            generator,
            discriminator,
            critic_objective(objective, penalty, target_norm),
            resolution=resolution,
            channels=channels,
            latent_dim=latent_dim,
            num_classes=num_classes,
            generator_lr=generator_lr,
            discriminator_lr=discriminator_lr,
            betas=betas,
            average_halflife=average_halflife,
            **training,
        )
        self.growth = growth
        self.moving_average = GrowingAverage(average_halflife, self.moving_average.start, growth=growth)
        self.drift = drift
        self.save_hyperparameters(logger=False)

    def players(self) -> list[Player]:
        """Return both players; the discriminator's generated images have the real classes, as in the authors' code."""
        discriminator, generator = super().players()
        return [replace(discriminator, real_labels=True), generator]

    @property
    def stage(self) -> Stage:
        """Stage of growth at the current progress, the images seen and not undone."""
        return self.growth.at(self.progress)

    def data_resolution(self, progress: int) -> int:
        """Return the stage's resolution, so that data modules do not decode full images for a 4x4 stage."""
        return self.growth.at(progress).resolution

    def prepare(self, real: Batch) -> Batch:
        """Shrink real images to the stage's resolution, and fade in the new detail with alpha, as the networks do."""
        images = shrink(real.images, self.stage.resolution)
        if self.stage.alpha < 1:
            coarse = interpolate(avg_pool2d(images, 2), scale_factor=2, mode="nearest")
            images = torch.lerp(coarse, images, self.stage.alpha)
        return Batch(images, real.labels)

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (B, C, R, R) at the stage's resolution R."""
        images: Tensor = network(z, labels, self.stage)
        return images

    def logits(self, batch: Batch) -> Tensor:
        """Return logits (B, 1 + classes) of images at the stage's resolution or larger."""
        logits: Tensor = self.discriminator(shrink(batch.images, self.stage.resolution), self.stage)
        return logits

    def score(self, batch: Batch) -> Tensor:
        """Return logits (B,) and leave those of the classes (B, K) in `batch.heads`.

        Images larger than the stage's resolution are first averaged down to it.
        """
        logits = self.logits(batch)
        batch.heads = logits[:, 1:]
        return logits[:, 0]

    def discriminator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the objective's value, penalties and, if conditional, the class loss of both batches."""
        # The authors' networks see images repeated up to full size (loss.py, D_wgangp_acgan), so their gradient norm is
        # the norm at the stage's resolution divided by k = full / stage resolution: k^2 pixels each have 1 / k^2 of it.
        norm_factor = self.stage.resolution / self.resolution
        real_scores, fake_scores, penalties = self.objective.scores_and_penalties(self.scores, real, fake, norm_factor)
        terms = {"adversarial": self.objective.discriminator_value(real_scores, fake_scores), **penalties}
        if isinstance(self.objective, Wasserstein):
            terms["gradient_penalty"] = self.objective.gradient_penalty(self.scores, real, fake, norm_factor)
            terms["drift"] = self.drift * real_scores.square().mean()
        if self.num_classes:
            terms["classification"] = class_loss(real) + class_loss(fake)
        return terms

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the adversarial term and, if conditional, the class loss of the generated images."""
        terms = super().generator_loss(real, fake)
        if self.num_classes:
            terms["classification"] = class_loss(fake)
        return terms

    def on_clock(self, before: int, now: int) -> None:
        """Forget Adam's moments and step counts where a fade begins or ends, as the authors' code does."""
        if self.growth.changed(before, now):
            for optimizer in self.trainer.optimizers:
                optimizer.state.clear()


def shrink(images: Tensor, resolution: int) -> Tensor:
    """Average boxes of pixels until images (B, C, H, W) have `resolution`; smaller images are returned unchanged."""
    factor = images.shape[-1] // resolution
    return avg_pool2d(images, factor) if factor > 1 else images
