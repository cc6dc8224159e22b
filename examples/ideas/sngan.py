"""SNGAN: Miyato, Kataoka, Koyama and Yoshida 2018, "Spectral Normalization for Generative Adversarial Networks",
arXiv:1802.05957: every layer of the discriminator divides its weight by its largest singular value (algorithm 1).

The discriminator is that of the authors' chainer code (`SNDCGANDiscriminator`): 3x3 convolutions in turn with 4x4 ones
of stride 2, which double the channels. Slope 0.1 (table 3 of the paper; 0.2 in the code), weights N(0, 0.02), hinge
loss (equation 16).

Departs from the paper: the generator is that of `zoo.DCGAN`, with classes as there (the paper's CIFAR-10 has none);
biases start as torch draws them.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.sngan.SNGAN model.r1=0 model.critic_steps=1
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import zoo
from zoo.layers.convolution import conv2d
from zoo.layers.rectifier import LeakyReLU
from zoo.layers.spectral import SpectralConv2d
from zoo.models.biggan import initialise
from zoo.models.dcgan import Discriminator, stage_widths


class Reduction(SpectralConv2d):
    """Spectrally normalised 4x4 convolution that halves the size, or (stride 1, no padding) reads out 4x4 maps."""

    def __init__(self, inputs: int, outputs: int, stride: int, padding: int) -> None:
        super().__init__(inputs, outputs, kernel_size=4)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the normalised weight."""
        return conv2d(x, self.normalised_weight(), self.bias, stride=self.stride, padding=self.padding)


class SpectralDiscriminator(Discriminator):
    """The discriminator of a DCGAN, classes as further channels included, with other layers."""

    def __init__(self, resolution: int, channels: int, width: int, num_classes: int) -> None:
        super().__init__(resolution, channels, width, num_classes, kernel_size=4)
        before, layers = channels + num_classes, list[nn.Module]()
        for stage in reversed(stage_widths(resolution, width)):
            layers += [SpectralConv2d(before, stage), LeakyReLU(0.1), Reduction(stage, 2 * stage, 2, 1), LeakyReLU(0.1)]
            before = 2 * stage
        self.body = nn.Sequential(*layers, SpectralConv2d(before, before), LeakyReLU(0.1))
        self.readout = Reduction(before, 1, stride=1, padding=0)  # type: ignore[assignment]


class SNGAN(zoo.DCGAN):
    """DCGAN with a spectrally normalised discriminator.

    Args:
        resolution: height and width of the images: 16, 32, 64, 128 or 256 pixels.
        channels: channels of the images.
        width: channels of the layers of the highest resolution.
        num_classes: number of classes; 0 for an unconditional model.
        objective: `hinge`, or any of `zoo.DCGAN`.
        dcgan: further settings of `zoo.DCGAN`.
    """

    couples_batch = False  # no batch norm: real and generated images are scored in one pass
    packable = False

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: int = 64,
        num_classes: int = 0,
        objective: str = "hinge",
        **dcgan: Any,
    ) -> None:
        own: dict[str, Any] = {"resolution": resolution, "channels": channels, "num_classes": num_classes}
        super().__init__(width=width, objective=objective, **own, **dcgan)
        if resolution & (resolution - 1):
            raise ValueError(f"resolution of an SNGAN is 16, 32, 64, 128 or 256; got {resolution}")
        own["width"] = dcgan.get("discriminator_channels") or width
        discriminator = initialise(SpectralDiscriminator(**own), "normal")
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
