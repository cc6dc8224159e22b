"""The networks of WGAN-GP; `zoo.models.wgan_gp` describes their origin and the differences from the authors' code."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from zoo.layers.convolution import Conv2d, ConvTranspose2d
from zoo.layers.rectifier import LeakyReLU, ReLU, relu
from zoo.layers.resampling import DoublingConvolution, HalvingConvolution

Resampling = Literal["double", "halve", "keep"]


# --- layers ----------------------------------------------------------------------------------------------------------


def uniform(layer: nn.Module, deviation: float) -> None:
    """Initialise weights uniformly with mean 0 and this standard deviation, biases as 0, as in the authors' code."""
    assert isinstance(layer.weight, Tensor)
    nn.init.uniform_(layer.weight, -deviation * math.sqrt(3), deviation * math.sqrt(3))
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)


def convolution(
    inputs: int, outputs: int, kernel_size: int = 3, resampling: Resampling = "keep", bias: bool = True, he: bool = True
) -> nn.Conv2d:
    """Return a convolution that keeps the size, or doubles it before or halves it after.

    The initial standard deviation is `sqrt(4 / (fan_in + fan_out))`, which is He's where both fans are equal; without
    `he` it is `sqrt(2 / (fan_in + fan_out))`.
    """
    layer: nn.Conv2d
    if resampling == "double":
        layer = DoublingConvolution(inputs, outputs, bias)
    elif resampling == "halve":
        layer = HalvingConvolution(inputs, outputs, bias)
    else:
        layer = Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=bias)
    uniform(layer, math.sqrt((4 if he else 2) / ((inputs + outputs) * kernel_size**2)))
    return layer


def strided(inputs: int, outputs: int, transposed: bool = False) -> nn.Conv2d | nn.ConvTranspose2d:
    """Return a 5x5 convolution that halves the size, rounding up, or a transposed one that doubles it.

    The initial standard deviation is `sqrt(4 / (fan_in + fan_out))`, with a quarter of the fan on the side with fewer
    pixels.
    """
    layer: nn.Conv2d | nn.ConvTranspose2d
    if transposed:
        layer = ConvTranspose2d(inputs, outputs, 5, 2, padding=2, output_padding=1)
        fans = inputs * 25 / 4 + outputs * 25
    else:
        layer = Conv2d(inputs, outputs, 5, 2, padding=2)
        fans = inputs * 25 + outputs * 25 / 4
    uniform(layer, math.sqrt(4 / fans))
    return layer


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer with the uniform initialisation of Glorot and Bengio 2010."""
    layer = nn.Linear(inputs, outputs)
    uniform(layer, math.sqrt(2 / (inputs + outputs)))
    return layer


class BatchNorm(nn.Module):
    """Batch norm of maps, with a scale and offset for each class if there are classes (Dumoulin et al. 2017,
    arXiv:1610.07629; tflib/ops/cond_batchnorm.py). Scales start at 1, offsets at 0.
    """

    def __init__(self, features: int, num_classes: int = 0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=not num_classes)
        if num_classes:
            self.scale = nn.Parameter(torch.ones(num_classes, features))
            self.offset = nn.Parameter(torch.zeros(num_classes, features))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Normalise maps (B, C, H, W); with classes, `labels` (B,) select the scale and offset."""
        y: Tensor = self.norm(x)
        if self.norm.affine:
            return y
        assert labels is not None
        scale, offset = self.scale.to(y.dtype)[labels, :, None, None], self.offset.to(y.dtype)[labels, :, None, None]
        return torch.addcmul(offset, y, scale)


class Block(nn.Module):
    """Residual block: twice normalisation, ReLU and a 3x3 convolution, in parallel with a shortcut.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
        middle: number of channels between the two convolutions.
        resampling: change of the size: `double` by the first convolution, `halve` by the second, or `keep`.
        first: normalisation before the first convolution, called with maps and labels; None for none.
        second: normalisation before the second convolution; None for none.
        bias: whether the first convolution has a bias.
        pixels: whether the input is an image; then there is no ReLU before the first convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        middle: int,
        resampling: Resampling,
        first: nn.Module | None = None,
        second: nn.Module | None = None,
        bias: bool = True,
        pixels: bool = False,
    ) -> None:
        super().__init__()
        self.resampling, self.pixels, self.first, self.second = resampling, pixels, first, second
        self.convolution1 = convolution(
            inputs, middle, resampling="double" if resampling == "double" else "keep", bias=bias
        )
        self.convolution2 = convolution(middle, outputs, resampling="halve" if resampling == "halve" else "keep")
        changes = inputs != outputs or resampling != "keep"
        self.shortcut = convolution(inputs, outputs, kernel_size=1, he=False) if changes else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H', W')."""
        y: Tensor = x if self.pixels else relu(x) if self.first is None else relu(self.first(x, labels), inplace=True)
        y = self.convolution1(y)
        y = relu(y if self.second is None else self.second(y, labels), inplace=True)
        y = self.convolution2(y)
        if self.resampling == "halve":
            x = avg_pool2d(x, 2)
        if self.shortcut is not None:
            x = self.shortcut(x)
        y += interpolate(x, scale_factor=2.0) if self.resampling == "double" else x
        return y


class LayerNorm(nn.GroupNorm):
    """Layer norm over channels and positions of each image, with a scale and offset for each channel."""

    def __init__(self, features: int) -> None:
        super().__init__(1, features)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Normalise each image of maps (B, C, H, W) separately."""
        y: Tensor = super().forward(x)
        return y


# --- generators ------------------------------------------------------------------------------------------------------


def stage_widths(resolution: int, width: int) -> list[int]:
    """Return a number of channels for each doubling from 4x4 to the resolution, in this order.

    The last is `width`; towards 4x4 they double, up to 8 * `width`.
    """
    stages = (resolution - 1).bit_length() - 2  # 28 and 32 px: 3 stages
    return [width * min(2**i, 8) for i in reversed(range(stages))]


class ResidualGenerator(nn.Module):
    """Generator: a linear layer to 4x4 maps and one block for each doubling; batch norm, ReLU, convolution, tanh.

    Args:
        widths: channels of the maps at 4x4 and after each block.
        channels: channels of the images.
        latent_dim: length of the latents.
        num_classes: number of classes; 0 for none.
        like_cifar: whether to follow the CIFAR-10 ResNet; else the 64 px networks, whose blocks have no bias in the
            first convolution and whose last convolution starts with He's deviation.
    """

    def __init__(self, widths: list[int], channels: int, latent_dim: int, num_classes: int, like_cifar: bool) -> None:
        super().__init__()
        self.stem = linear(latent_dim, widths[0] * 4 * 4)
        self.blocks = nn.ModuleList(
            Block(
                before,
                after,
                after,
                "double",
                BatchNorm(before, num_classes),
                BatchNorm(after, num_classes),
                bias=like_cifar,
            )
            for before, after in pairwise(widths)
        )
        self.norm = BatchNorm(widths[-1])  # without classes in the authors' code, too
        self.last = convolution(widths[-1], channels, he=not like_cifar)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] from latents (B, Z) and, if conditional, class indices (B,)."""
        x = self.stem(z).view(z.shape[0], -1, 4, 4)
        for block in self.blocks:
            x = block(x, labels)
        images: Tensor = self.last(relu(self.norm(x, None), inplace=True)).tanh()
        return images


class ConvolutionalGenerator(nn.Module):
    """Generator: a linear layer to 4x4 maps, then 5x5 transposed convolutions; batch norm and ReLU between; tanh."""

    def __init__(
        self, resolution: int, channels: int, latent_dim: int, width: int, num_classes: int, batch_norm: bool
    ) -> None:
        super().__init__()
        widths = stage_widths(resolution, width)
        units = widths[0] * 4 * 4
        self.crop = resolution == 28
        self.stem = linear(latent_dim, units)
        # The first batch norm has statistics for each unit of the linear layer, the others for each channel.
        norms = [BatchNorm(features, num_classes) for features in (units, *widths[1:])] if batch_norm else []
        self.norms = nn.ModuleList(norms)
        self.doublings = nn.ModuleList(
            strided(before, after, transposed=True) for before, after in pairwise([*widths, channels])
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1] from latents (B, Z) and, if conditional, class indices (B,)."""
        x = self.stem(z)[:, :, None, None]
        for i, doubling in enumerate(self.doublings):
            x = relu(self.norms[i](x, labels) if self.norms else x)
            x = doubling(x if i else x.view(z.shape[0], -1, 4, 4))
            if self.crop and i == 0:
                x = x[:, :, :7, :7]
        images: Tensor = x.tanh()
        return images


# --- critics ---------------------------------------------------------------------------------------------------------


class Critic(nn.Module):
    """Critic: features of each image, and linear readouts of them: the score, and the logits of the classes.

    Args:
        body: module from images to features (B, F).
        features: number of features F.
        num_classes: number of classes; 0 for none.
    """

    def __init__(self, body: nn.Module, features: int, num_classes: int) -> None:
        super().__init__()
        self.body = body
        self.readout = linear(features, 1)
        self.classifier = linear(features, num_classes) if num_classes else None

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (column 0) and class logits (the other columns), (B, 1 + num_classes), of images (B, C, H, W).

        Under autocast the readouts keep the precision of their weights: scores are not bounded, and bf16 has no number
        between 64 and 64.5.
        """
        features = self.body(images)
        with torch.autocast(images.device.type, enabled=False):
            features = features.to(self.readout.weight.dtype)
            heads = [self.readout] if self.classifier is None else [self.readout, self.classifier]
            outputs: Tensor = torch.cat([head(features) for head in heads], dim=1)
            return outputs


def residual_critic(resolution: int, channels: int, width: int, num_classes: int) -> Critic:
    """Return the critic of the CIFAR-10 ResNet: halved to 8x8, two blocks there, features averaged over positions."""
    halvings = resolution.bit_length() - 4  # 32 px: two, the first block's among them
    blocks = [Block(channels, width, width, "halve", pixels=True)]
    blocks += [Block(width, width, width, "halve") for _ in range(halvings - 1)]
    blocks += [Block(width, width, width, "keep") for _ in range(2)]
    return Critic(nn.Sequential(*blocks, ReLU(True), nn.AdaptiveAvgPool2d(1), nn.Flatten()), width, num_classes)


def layer_norm_critic(resolution: int, channels: int, width: int, num_classes: int) -> Critic:
    """Return the critic of the 64 px networks: widths double as the size halves to 4x4, layer norm before each ReLU."""
    widths = stage_widths(resolution, width)[::-1]
    blocks = [
        Block(before, after, before, "halve", LayerNorm(before), LayerNorm(before), bias=False)
        for before, after in pairwise([*widths, widths[-1]])
    ]
    body = nn.Sequential(convolution(channels, widths[0], he=False), *blocks, nn.Flatten())
    return Critic(body, widths[-1] * 4 * 4, num_classes)


def convolutional_critic(resolution: int, channels: int, width: int, num_classes: int) -> Critic:
    """Return the critic of gan_cifar.py: 5x5 convolutions that halve the size to 4x4, leaky ReLU, no normalisation."""
    widths = stage_widths(resolution, width)[::-1]
    layers = [
        part
        for before, after in pairwise([channels, *widths])
        for part in (strided(before, after), LeakyReLU(0.2, True))
    ]
    return Critic(nn.Sequential(*layers, nn.Flatten()), widths[-1] * 4 * 4, num_classes)
