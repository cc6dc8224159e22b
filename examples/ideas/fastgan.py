"""FastGAN: Liu, Zhu, Song and Elgammal 2021, arXiv:2101.04775.

Skip-layer excitation (section 3.1): a map of the generator weights the channels of a map four times its size (16 in the
paper, whose images are larger). The discriminator, with hinge loss, also reconstructs real images (section 3.2).

Departs from the paper: one decoder of whole images, compared pixel by pixel; the hinge is of the mean over places; the
discriminator has spectral norm and no residual blocks, the generator neither noise nor spectral norm.

    python -m zoo.fit recipe=examples/ideas/fastgan_fashion.yaml
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

import zoo
from zoo.layers.rectifier import LeakyReLU
from zoo.layers.spectral import SpectralConv2d, SpectralHalvingConv2d
from zoo.training.objectives import Terms, objective


def doubling(inputs: int, outputs: int) -> nn.Sequential:
    """Return layers from (B, inputs, H, W) to (B, outputs, 2H, 2W), with a gate for each output (GLU)."""
    gated = nn.Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False), nn.BatchNorm2d(2 * outputs), nn.GLU(1)
    return nn.Sequential(nn.Upsample(scale_factor=2), *gated)


def excitation(low: int, high: int) -> nn.Sequential:
    """Return layers from a map (B, low, H, W) to the weights (B, high, 1, 1) of a larger map's channels."""
    first, second = nn.Conv2d(low, high, 4), nn.Conv2d(high, high, 1)
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), first, nn.LeakyReLU(0.1), second, nn.Sigmoid())


class Generator(nn.Module):
    """Generator from latents to images, with skip-layer excitation from each map to that of four times its size."""

    def __init__(self, widths: list[int], channels: int, latent_dim: int) -> None:
        super().__init__()
        first = nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, 2 * widths[0], 4, bias=False)
        self.stem = nn.Sequential(*first, nn.BatchNorm2d(2 * widths[0]), nn.GLU(1))
        self.doublings = nn.ModuleList(doubling(before, after) for before, after in pairwise(widths))
        self.excitations = nn.ModuleList(excitation(low, high) for low, high in zip(widths, widths[2:]))
        self.to_image = nn.Sequential(nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] from latents (B, Z)."""
        maps = [self.stem(z)]
        for i, double in enumerate(self.doublings):
            x = double(maps[-1])
            maps.append(x * self.excitations[i - 1](maps[i - 1]) if i else x)
        return self.to_image(maps[-1])  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Discriminator down to 8x8 maps, with a decoder of these maps, which `score` does not call."""

    def __init__(self, widths: list[int], channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [SpectralConv2d(channels, widths[0]), LeakyReLU(0.2, True)]
        for before, after in pairwise(widths):
            layers += [SpectralHalvingConv2d(before, after), LeakyReLU(0.2, True)]
        self.body, self.readout = nn.Sequential(*layers), SpectralConv2d(widths[-1], 1)
        ups = map(doubling, widths[:0:-1], widths[-2::-1])
        self.decode = nn.Sequential(*ups, nn.Conv2d(widths[0], channels, 3, padding=1), nn.Tanh())

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return scores (B,), the means of logits over the places, and maps (B, F, 8, 8)."""
        maps = self.body(images)
        return self.readout(maps).mean((1, 2, 3)), maps


class FastGAN(zoo.GAN):
    """FastGAN for small images, without classes. `training` are settings of the loop, see `zoo.GAN`."""

    def __init__(
        self, resolution: int = 32, channels: int = 3, latent_dim: int = 100, width: int = 32, **training: Any
    ) -> None:
        if resolution not in (sizes := [4 << i for i in range(2, 9)]):
            raise ValueError(f"resolution of a FastGAN is one of {sizes}; got {resolution}")
        if classes := training.get("num_classes"):
            raise ValueError(f"num_classes={classes}: a FastGAN knows none; set model.num_classes=0")
        widths = [width * min(2**i, 8) for i in range(sizes.index(resolution) + 3)]  # from the image down to 4x4
        networks = Generator(widths[::-1], channels, latent_dim), Discriminator(widths[:-1], channels)
        training |= {"resolution": resolution, "channels": channels, "latent_dim": latent_dim}
        super().__init__(*networks, objective("hinge"), **training)
        self.save_hyperparameters(logger=False)

    def score(self, batch: zoo.Batch) -> Tensor:
        """Return scores (B,) and leave the maps (B, F, 8, 8) in `batch.heads`."""
        scores, batch.heads = self.discriminator(batch.images)
        return scores  # type: ignore[no-any-return]

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the game's terms and the mean distance of real images to their reconstructions."""
        terms = super().discriminator_loss(real, fake)
        rebuilt = self.discriminator.decode(real.heads)  # type: ignore[operator]
        return {**terms, "reconstruction": (rebuilt - real.images).abs().mean()}
