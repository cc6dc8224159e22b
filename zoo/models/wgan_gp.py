"""WGAN-GP: Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, "Improved Training of Wasserstein GANs",
arXiv:1704.00028. Networks, initialisation and training checked against the authors' code
(igul222/improved_wgan_training: gan_cifar_resnet.py, gan_64x64.py, gan_cifar.py, gan_mnist.py and tflib/ops).

Three pairs of networks, in `zoo.models.wgan_gp_networks`, chosen by `architecture`:

- `resnet` (`auto` up to 32 px), the CIFAR-10 ResNet: the same number of channels in all layers, no normalisation in the
  critic, whose features are averaged over all positions. `WGANGP(resolution=32, width=128)` is the authors'. At other
  resolutions the generator has one doubling block for each doubling from 4x4, and the critic halves the size down to
  8x8, where its last two blocks work.
- `layer_norm` (`auto` from 64 px), the "Good" networks: widths double towards 4x4, the critic has layer norm.
  `WGANGP(resolution=64, width=64)` is the authors'. At other resolutions widths double up to 8 * `width`.
- `convolutional`, the small networks of gan_cifar.py, 5x5 convolutions with stride 2, and at 28 px the shapes of
  gan_mnist.py, which crops 8x8 maps to 7x7 (there without batch norm: `batch_norm=False`).

The loop is the paper's algorithm 1: five critic steps, then one of the generator. The authors' code makes the
generator's step first and omits it in the first iteration, which is the same sequence; its learning rates fall with
every generator step, ours with every critic step. Classes are as in gan_cifar_resnet.py (its default; the paper's
labelled CIFAR-10): batch norm of the generator's blocks has a scale and offset for each class, and the critic has a
second, AC-GAN readout (Odena et al. 2017, arXiv:1610.09585) that learns classes from real images only. Generated images
in the critic's step have the labels of the real ones; those in the generator's step are drawn. The authors have classes
with the CIFAR-10 ResNet only; the other two architectures use them in the same way.

Differences: samples are drawn from an averaged generator with running batch statistics, so that an image does not
depend on the rest of its batch (the authors use batch statistics for samples, too, and no average). 5x5 convolutions
with stride 2 pad two pixels at the top and left and one at the bottom and right, where TensorFlow pads one and two: the
same networks on mirrored images. Doubling and halving are fused with the adjacent convolution, see
`zoo.layers.resampling`, and 1x1 convolutions come before doubling and after halving: the same values for less work.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.errors import require_at_least
from zoo.gan import GAN
from zoo.models.wgan_gp_networks import (
    ConvolutionalGenerator,
    ResidualGenerator,
    convolutional_critic,
    layer_norm_critic,
    residual_critic,
    stage_widths,
)
from zoo.training.auxiliary import class_loss
from zoo.training.batch import Batch
from zoo.training.objectives import Terms, critic_objective
from zoo.training.player import Player

Architecture = Literal["auto", "resnet", "layer_norm", "convolutional"]
RESOLUTIONS = (16, 32, 64, 128, 256)


class WGANGP(GAN):
    """Wasserstein GAN with gradient penalty. Defaults are those of the authors' CIFAR-10 ResNet (without classes).

    Args:
        resolution: height and width of the images: 16, 32, 64, 128 or 256 pixels; for the convolutional networks also
            28.
        channels: channels of the images.
        latent_dim: length of the latents, which are standard normal.
        width: channels at the full resolution; 128 for the CIFAR-10 networks, 64 for the 64 px and MNIST networks.
        num_classes: number of classes; 0 for an unconditional model.
        architecture: `resnet` (the CIFAR-10 ResNet), `layer_norm` (the 64 px networks), `convolutional` (those of
            gan_cifar.py and gan_mnist.py), or `auto`: `resnet` up to 32 px, `layer_norm` from 64 px.
        batch_norm: whether the generator has batch norm; False is offered for the unconditional convolutional one only.
        objective: `wasserstein` (the paper's), or `non_saturating`, `saturating`, `hinge`, `least_squares` or
            `relativistic`, for which `r1` and `r2` take the place of `penalty`.
        penalty: weight of the gradient penalty of `wasserstein`, the paper's lambda.
        classification: weight of the AC-GAN term in the critic's loss, on real images.
        generator_classification: weight of the AC-GAN term in the generator's loss.
        generator_batch: generated images in a generator step for each image in a critic step; 2 in gan_cifar_resnet.py,
            1 in the authors' other scripts.
        dequantise: whether to place the 256 grey levels of real images in [-1, 1) and add uniform noise as wide as one
            level, as in gan_cifar_resnet.py; the authors' other scripts do not.
        critic_steps: critic updates for each generator update.
        betas: Adam's betas; (0.5, 0.9) in gan_cifar.py and gan_mnist.py.
        training: settings of the training loop, see `zoo.GAN`.

    Raises:
        ValueError: for a resolution or architecture that is not offered.
    """

    loss_settings = ("objective", "penalty", "classification", "generator_classification", "generator_batch")

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        latent_dim: int = 128,
        width: int = 128,
        num_classes: int = 0,
        architecture: Architecture = "auto",
        batch_norm: bool = True,
        objective: str = "wasserstein",
        penalty: float = 10.0,
        classification: float = 1.0,
        generator_classification: float = 0.1,
        generator_batch: int = 2,
        dequantise: bool = True,
        critic_steps: int = 5,
        betas: tuple[float, float] = (0.0, 0.9),
        **training: Any,
    ) -> None:
        if architecture == "auto":
            architecture = "resnet" if resolution <= 32 else "layer_norm"
        check(architecture, resolution, num_classes, batch_norm, generator_batch)
        require_at_least(1, width=width, channels=channels, latent_dim=latent_dim)
        require_at_least(
            0, num_classes=num_classes, classification=classification, generator_classification=generator_classification
        )
        sizes = [stage_widths(resolution, width)[0], *stage_widths(resolution, width)]
        generator: nn.Module
        if architecture == "convolutional":
            generator = ConvolutionalGenerator(resolution, channels, latent_dim, width, num_classes, batch_norm)
            critic = convolutional_critic(resolution, channels, width, num_classes)
        elif architecture == "layer_norm":
            generator = ResidualGenerator(sizes, channels, latent_dim, num_classes, like_cifar=False)
            critic = layer_norm_critic(resolution, channels, width, num_classes)
        else:
            generator = ResidualGenerator([width] * len(sizes), channels, latent_dim, num_classes, like_cifar=True)
            critic = residual_critic(resolution, channels, width, num_classes)
        super().__init__(
            generator,
            critic,
            critic_objective(objective, penalty),
            resolution=resolution,
            channels=channels,
            latent_dim=latent_dim,
            num_classes=num_classes,
            critic_steps=critic_steps,
            betas=betas,
            **training,
        )
        self.classification, self.generator_classification = classification, generator_classification
        self.generator_batch, self.dequantise = generator_batch, dequantise
        self.save_hyperparameters(logger=False)

    def players(self) -> list[Player]:
        """Return the critic, whose generated images have the real labels, and the generator, with a larger batch."""
        critic, generator = super().players()
        return [replace(critic, real_labels=True), replace(generator, fakes=self.generator_batch)]

    def prepare(self, real: Batch) -> Batch:
        """Return real images, dequantised if so set: level k of 0..255 becomes uniform in [k, k + 1) / 128 - 1."""
        if not self.dequantise:
            return real
        levels = (real.images + 1) * 127.5
        return Batch((levels + torch.rand_like(levels)) / 128 - 1, real.labels)

    def score(self, batch: Batch) -> Tensor:
        """Return scores (B,) and leave logits of the classes (B, K) in `batch.heads`; the critic ignores the labels."""
        outputs: Tensor = self.discriminator(batch.images)
        batch.heads = outputs[:, 1:]
        return outputs[:, 0]

    def discriminator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the objective's terms and, with classes, the cross entropy on real images."""
        terms = super().discriminator_loss(real, fake)
        if self.num_classes:
            terms["classification"] = self.classification * class_loss(real)
        return terms

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the objective's terms and, with classes, the cross entropy of the generated images' classes."""
        terms = super().generator_loss(real, fake)
        if self.num_classes:
            terms["classification"] = self.generator_classification * class_loss(fake)
        return terms


def check(architecture: str, resolution: int, num_classes: int, batch_norm: bool, generator_batch: int) -> None:
    """Check arguments of `WGANGP`.

    Raises:
        ValueError: for values that are not offered, or not together.
    """
    if architecture not in ("resnet", "layer_norm", "convolutional"):
        raise ValueError(f"architecture of a WGANGP is auto, resnet, layer_norm or convolutional; got {architecture!r}")
    offered = (16, 28, *RESOLUTIONS[1:]) if architecture == "convolutional" else RESOLUTIONS
    if resolution not in offered:
        raise ValueError(
            f"resolution of a {architecture} WGANGP is one of {', '.join(map(str, offered))}; got {resolution}"
        )
    if not batch_norm and (architecture != "convolutional" or num_classes):
        raise ValueError("batch_norm=False is for the unconditional convolutional generator; the others need it")
    require_at_least(1, generator_batch=generator_batch)
