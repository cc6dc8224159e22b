"""DCGAN: Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", arXiv:1511.06434. Networks and training checked against the authors' code (Newmu/dcgan_code,
faces/train_uncond_dcgan.py).

Two networks are known as DCGAN, and both are here:

- `kernel_size=5`, the authors': 5x5 convolutions, a linear layer from the latent with separate batch-norm statistics
  for each of its units, latents uniform in [-1, 1].
- `kernel_size=4`, the network of the PyTorch ports: 4x4 convolutions, the latent enters as a 1x1 map, latents standard
  normal.

At 28 px the network is that of DCGAN-tensorflow, with which the modes of stacked MNIST are counted (checked against
fjxmlzn/PacGAN, stacked_MNIST_experiments/VEEGAN_experiment/model.py): as with `kernel_size=5`, but from 2x2 maps over
4x4, 7x7 and 14x14, with biases, and with batch statistics for each channel of the linear layer's maps. Unlike here, its
discriminator's initial weights are drawn from a truncated normal distribution and its gains are 1.

Differences from the paper: the epsilon of batch norm is 1e-5 (the authors' code: 1e-8); samples are drawn with running
statistics instead of those of the batch; the L2 penalty of 1e-5 in the authors' code (not in the paper) is left out.
The paper has 64 px only; at 16 and 32 px the widest stages are dropped, at 128 and 256 px widths stop at 8 * `width`.
Classes enter as in the usual conditional DCGAN (Mirza and Osindero 2014, arXiv:1411.1784): a one-hot vector is appended
to the latent, and one-hot maps are appended to the image as channels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from zoo.errors import require_at_least
from zoo.layers.convolution import Conv2d, ConvTranspose2d
from zoo.layers.labels import one_hot
from zoo.layers.rectifier import LeakyReLU
from zoo.models.packed import Packed
from zoo.training.objectives import objective as objective_named

Latent = Literal["auto", "normal", "uniform"]
RESOLUTIONS = (16, 28, 32, 64, 128, 256)


def stage_widths(resolution: int, width: int) -> list[int]:
    """Return the channels at 4x4 (for 28 px 2x2), ..., half the resolution: from at most 8 * `width` to `width`."""
    stages = 4 if resolution == 28 else resolution.bit_length() - 3  # 64 px: 4 stages
    return [width * min(2**i, 8) for i in reversed(range(stages))]


def stage_sizes(resolution: int) -> list[int]:
    """Return the sizes of all maps from the smallest to the resolution, each half of the next one, rounded up."""
    sizes = [resolution]
    while len(sizes) <= len(stage_widths(resolution, 1)):
        sizes.insert(0, (sizes[0] + 1) // 2)
    return sizes


class Generator(nn.Module):
    """Generator: from the latent to 4x4 maps, then transposed convolutions with batch norm and ReLU between them."""

    def __init__(
        self, resolution: int, channels: int, latent_dim: int, width: int, num_classes: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.first, *later = stage_widths(resolution, width)
        self.side, *sizes = stage_sizes(resolution)
        inputs, bias = latent_dim + num_classes, resolution == 28
        if resolution == 28:
            self.stem = nn.Sequential(
                nn.Linear(inputs, self.first * self.side**2),
                nn.Unflatten(1, (self.first, self.side, self.side)),
                nn.BatchNorm2d(self.first),
                nn.ReLU(True),
            )
        elif kernel_size == 5:
            units = self.first * 4 * 4
            self.stem = nn.Sequential(nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.ReLU(True))
        else:
            self.stem = nn.Sequential(
                nn.Unflatten(1, (inputs, 1, 1)),
                ConvTranspose2d(inputs, self.first, 4, bias=False),
                nn.BatchNorm2d(self.first),
                nn.ReLU(True),
            )
        layers: list[nn.Module] = []
        before = self.first
        for after, size in zip(later, sizes):
            layers += [doubling(before, after, kernel_size, size, bias), nn.BatchNorm2d(after), nn.ReLU(True)]
            before = after
        layers += [doubling(before, channels, kernel_size, resolution, bias), nn.Tanh()]
        self.body = nn.Sequential(*layers)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] from latents (B, Z) and, if conditional, class indices (B,)."""
        if self.num_classes:
            assert labels is not None
            z = torch.cat([z, one_hot(labels, self.num_classes, z.dtype)], dim=1)
        x = self.stem(z).unflatten(1, (self.first, -1)).view(z.shape[0], self.first, self.side, self.side)
        images: Tensor = self.body(x)
        return images


class Discriminator(nn.Module):
    """Discriminator: strided convolutions, batch norm except in the first, leaky ReLU; linear readout."""

    def __init__(self, resolution: int, channels: int, width: int, num_classes: int, kernel_size: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        widths, side, bias = stage_widths(resolution, width)[::-1], stage_sizes(resolution)[0], resolution == 28
        layers: list[nn.Module] = [halving(channels + num_classes, widths[0], kernel_size, bias), LeakyReLU(0.2, True)]
        for before, after in pairwise(widths):
            layers += [halving(before, after, kernel_size, bias), nn.BatchNorm2d(after), LeakyReLU(0.2, True)]
        self.body = nn.Sequential(*layers)
        self.readout = Conv2d(widths[-1], 1, side, bias=bias)  # over whole maps: the authors' flatten and linear layer

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B,) of images (B, C, H, W) in [-1, 1] and, if conditional, class indices (B,)."""
        if self.num_classes:
            assert labels is not None
            maps = one_hot(labels, self.num_classes, images.dtype)[:, :, None, None]
            images = torch.cat([images, maps.expand(-1, -1, *images.shape[2:])], dim=1)
        scores: Tensor = self.readout(self.body(images)).flatten()
        return scores


def doubling(inputs: int, outputs: int, kernel_size: int, size: int, bias: bool) -> nn.ConvTranspose2d:
    """Return a transposed convolution with stride 2 to maps of `size` pixels from maps of half the size, rounded up."""
    padding, output_padding = (2, 1 - size % 2) if kernel_size == 5 else (1, 0)
    return ConvTranspose2d(inputs, outputs, kernel_size, 2, padding, output_padding, bias=bias)


def halving(inputs: int, outputs: int, kernel_size: int, bias: bool) -> nn.Conv2d:
    """Return a convolution with stride 2 that halves the size, rounding up with 5x5 kernels."""
    return Conv2d(inputs, outputs, kernel_size, 2, padding=kernel_size // 2 if kernel_size == 5 else 1, bias=bias)


def initialise(module: nn.Module) -> None:
    """Initialise weights as N(0, 0.02), batch-norm gains as N(1, 0.02), biases as 0 (section 4; gains: the code)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class DCGAN(Packed):
    """Deep convolutional GAN. `DCGAN()` is the 64 px network of the PyTorch ports, `DCGAN(kernel_size=5)` the authors'.

    Args:
        resolution: height and width of the images: 16, 32, 64, 128 or 256 pixels; 28 with 5x5 kernels.
        channels: channels of the images.
        latent_dim: length of the latents.
        width: channels of the layer of the highest resolution; 64 in the ports, 128 in the authors' faces script.
        num_classes: number of classes; 0 for an unconditional model.
        kernel_size: side of the kernels: 4 (the network of the PyTorch ports) or 5 (the authors').
        latent: distribution of the latents: `normal`, `uniform` in [-1, 1], or `auto`: normal with 4x4 kernels, uniform
            with 5x5.
        objective: `non_saturating` (the paper's), `saturating`, `hinge`, `least_squares` or `relativistic`.
        discriminator_channels: `width` of the discriminator; 0 for that of the generator.
        packing: number of images that the discriminator scores together (PacGAN); 1 scores each by itself. Every pass
            needs a multiple of this many images.
        training: settings of the training loop, see `zoo.GAN`.

    Raises:
        ValueError: for a resolution, kernel size or distribution that is not offered, or packs of labelled images.
    """

    couples_batch = True  # batch norm, with separate statistics for real and generated images, as in the paper
    loss_settings = ("objective",)

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        latent_dim: int = 100,
        width: int = 64,
        num_classes: int = 0,
        kernel_size: int = 4,
        latent: Latent = "auto",
        objective: str = "non_saturating",
        discriminator_channels: int = 0,
        packing: int = 1,
        **training: Any,
    ) -> None:
        if resolution not in RESOLUTIONS:
            raise ValueError(f"resolution of a DCGAN is one of {', '.join(map(str, RESOLUTIONS))}; got {resolution}")
        if kernel_size not in (4, 5):
            raise ValueError(f"kernel_size of a DCGAN is 4 (PyTorch ports) or 5 (the authors' code); got {kernel_size}")
        if resolution == 28 and kernel_size == 4:
            raise ValueError("a DCGAN of 28 px has 5x5 kernels, which halve 7 pixels to 4; set kernel_size=5")
        if latent not in get_args(Latent):
            raise ValueError(f"latent of a DCGAN is {', '.join(get_args(Latent)[:-1])} or uniform; got {latent!r}")
        require_at_least(1, width=width, channels=channels, latent_dim=latent_dim, packing=packing)
        require_at_least(0, discriminator_channels=discriminator_channels, num_classes=num_classes)
        super().__init__(
            Generator(resolution, channels, latent_dim, width, num_classes, kernel_size).apply(initialise),
            Discriminator(
                resolution, channels * packing, discriminator_channels or width, num_classes, kernel_size
            ).apply(initialise),
            objective_named(objective),
            resolution=resolution,
            channels=channels,
            latent_dim=latent_dim,
            num_classes=num_classes,
            **training,
        )
        self.pack(packing)
        self.latent = ("uniform" if kernel_size == 5 else "normal") if latent == "auto" else latent
        self.save_hyperparameters(logger=False)

    def sample_latent(self, n: int) -> Tensor:
        """Draw latents (n, Z), uniform in [-1, 1] or standard normal."""
        if self.latent == "uniform":
            return torch.rand(n, self.latent_dim, device=self.device) * 2 - 1
        return super().sample_latent(n)
