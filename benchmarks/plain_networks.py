"""The networks of `variants.py` as an ordinary author writes them in PyTorch.

They compute what the zoo's networks compute, from the same parameters under the same names, in the obvious way: a size
is doubled before a convolution and halved after one, spectral norm is `torch.nn.utils`'s, norms are spelled out. What
the zoo does to be faster (merged resampling convolutions, 1x1 convolutions on the smaller maps, its own spectral norm)
is not here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as f
from torch.nn.utils.parametrizations import spectral_norm

import zoo
from zoo.layers.spectral import Spectral


def upsample(x: Tensor) -> Tensor:
    """Nearest neighbours, twice the size."""
    return f.interpolate(x, scale_factor=2, mode="nearest")


# --- WGAN-GP: the CIFAR-10 ResNet ------------------------------------------------------------------------------------


class WassersteinBlock(nn.Module):
    """Residual block of generator or critic."""

    def __init__(self, inputs: int, outputs: int, resampling: str, norm: bool, pixels: bool = False) -> None:
        super().__init__()
        self.resampling, self.pixels = resampling, pixels
        self.first = Normalised(inputs) if norm else nn.Identity()
        self.second = Normalised(outputs) if norm else nn.Identity()
        self.convolution1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.convolution2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs or resampling != "keep" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The block on the image pools before the 1x1 convolution, as the authors' does; the others after it."""
        h = x if self.pixels else f.relu(self.first(x))
        h = self.convolution1(upsample(h) if self.resampling == "double" else h)
        h = self.convolution2(f.relu(self.second(h)))
        if self.resampling == "double":
            return h + self.shortcut(upsample(x))
        if self.resampling == "halve":
            old = self.shortcut(f.avg_pool2d(x, 2)) if self.pixels else f.avg_pool2d(self.shortcut(x), 2)
            return f.avg_pool2d(h, 2) + old
        return h + self.shortcut(x)


class Normalised(nn.Module):
    """Batch norm."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return self.norm(x)


class WassersteinGenerator(nn.Module):
    """From (B, Z) to images, unconditional."""

    def __init__(self, model: zoo.WGANGP) -> None:
        super().__init__()
        settings = model.hparams
        width, doublings = settings["width"], settings["resolution"].bit_length() - 3
        self.stem = nn.Linear(settings["latent_dim"], width * 4 * 4)
        self.blocks = nn.Sequential(*[WassersteinBlock(width, width, "double", True) for _ in range(doublings)])
        self.norm = Normalised(width)
        self.last = nn.Conv2d(width, settings["channels"], 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images in [-1, 1]."""
        x = self.blocks(self.stem(z).view(len(z), -1, 4, 4))
        return torch.tanh(self.last(f.relu(self.norm(x))))


class WassersteinCritic(nn.Module):
    """From images to scores (B,)."""

    def __init__(self, model: zoo.WGANGP) -> None:
        super().__init__()
        width, halvings = model.hparams["width"], model.hparams["resolution"].bit_length() - 4
        blocks = [WassersteinBlock(model.channels, width, "halve", False, pixels=True)]
        blocks += [WassersteinBlock(width, width, "halve", False) for _ in range(halvings - 1)]
        blocks += [WassersteinBlock(width, width, "keep", False) for _ in range(2)]
        self.body = nn.Sequential(*blocks)
        self.readout = nn.Linear(width, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores."""
        return self.readout(f.relu(self.body(images)).mean((2, 3))).squeeze(1)


# --- BigGAN, conditional, without chunks of the latent and attention: the network of the authors' CIFAR-10 script ----


def spectral_conv(inputs: int, outputs: int, kernel_size: int = 3) -> nn.Module:
    """Convolution that keeps the size, with spectral norm."""
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2))


class ConditionalNorm(nn.Module):
    """Batch norm with a gain and a bias for each class."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.gain, self.bias = nn.Embedding(num_classes, features), nn.Embedding(num_classes, features)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise, scale, shift."""
        gain, bias = (1 + self.gain(labels))[:, :, None, None], self.bias(labels)[:, :, None, None]
        return self.norm(x) * gain + bias


class BigGeneratorBlock(nn.Module):
    """Residual block that doubles the size."""

    def __init__(self, inputs: int, outputs: int, num_classes: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ConditionalNorm(inputs, num_classes), ConditionalNorm(outputs, num_classes)
        self.conv1, self.conv2 = spectral_conv(inputs, outputs), spectral_conv(outputs, outputs)
        self.shortcut = spectral_conv(inputs, outputs, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Both branches are doubled before their convolutions."""
        h = self.conv1(upsample(f.relu(self.norm1(x, labels))))
        h = self.conv2(f.relu(self.norm2(h, labels)))
        return h + self.shortcut(upsample(x))


class BigGenerator(nn.Module):
    """From (B, Z) and classes (B,) to images."""

    def __init__(self, model: zoo.BigGAN) -> None:
        super().__init__()
        settings, width = model.hparams, 4 * model.hparams["width"]
        self.stem = spectral_norm(nn.Linear(model.latent_dim, width * 4 * 4))
        doublings = settings["resolution"].bit_length() - 3
        self.blocks = nn.ModuleList(BigGeneratorBlock(width, width, model.num_classes) for _ in range(doublings))
        self.norm = nn.BatchNorm2d(width)
        self.to_image = spectral_conv(width, model.channels)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images in [-1, 1]. The zoo's first layer gives channels last, which is a name for the same units."""
        x = self.stem(z).view(len(z), 4, 4, -1).permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.to_image(f.relu(self.norm(x))))


class BigDiscriminatorBlock(nn.Module):
    """Residual block that keeps or halves the size."""

    def __init__(self, inputs: int, outputs: int, halve: bool, first: bool) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        self.conv1, self.conv2 = spectral_conv(inputs, outputs), spectral_conv(outputs, outputs)
        self.shortcut = spectral_conv(inputs, outputs, 1) if halve or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The block on the image pools before the shortcut's convolution, the others after it (authors' code)."""
        h = self.conv2(f.relu(self.conv1(x if self.first else f.relu(x))))
        if not self.halve:
            return h + self.shortcut(x)
        old = self.shortcut(f.avg_pool2d(x, 2)) if self.first else f.avg_pool2d(self.shortcut(x), 2)
        return f.avg_pool2d(h, 2) + old


class BigReadout(nn.Module):
    """A linear layer plus the inner product with the class's vector."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = spectral_norm(nn.Linear(features, 1))
        self.embed = spectral_norm(nn.Embedding(num_classes, features))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Scores (B,)."""
        features = f.relu(x).sum((2, 3))
        return self.linear(features).squeeze(1) + (self.embed(labels) * features).sum(1)


class BigDiscriminator(nn.Module):
    """From images and classes to scores (B,)."""

    def __init__(self, model: zoo.BigGAN) -> None:
        super().__init__()
        width, blocks = 4 * model.hparams["width"], model.resolution.bit_length() - 2
        widths = [model.channels, *[width] * blocks]
        self.body = nn.Sequential(
            *[BigDiscriminatorBlock(widths[i], widths[i + 1], i < 2, i == 0) for i in range(blocks)]
        )
        self.readout = BigReadout(width, model.num_classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores."""
        return self.readout(self.body(images), labels)


# --- ProGAN, unconditional, all grown --------------------------------------------------------------------------------


class EqualizedConv(nn.Module):
    """Convolution whose weight is scaled at each use."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(like.weight.clone()), nn.Parameter(like.bias.clone())
        self.scale, self.padding = like.scale, like.padding

    def forward(self, x: Tensor) -> Tensor:
        """Same size."""
        return f.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualizedDense(nn.Module):
    """Linear layer whose weight is scaled at each use."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias, self.scale = (
            nn.Parameter(like.weight.clone()),
            nn.Parameter(like.bias.clone()),
            like.scale,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        return f.linear(x, self.weight * self.scale, self.bias)


def pixel_norm(x: Tensor) -> Tensor:
    """Unit mean square over channels."""
    return x / torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class GrownGenerator(nn.Module):
    """From (B, Z) to images at the full resolution."""

    def __init__(self, model: zoo.ProGAN) -> None:
        super().__init__()
        like = model.generator
        self.dense, self.first = EqualizedDense(like.dense), EqualizedConv(like.first)
        self.blocks = nn.ModuleList(nn.ModuleList(EqualizedConv(c) for c in block) for block in like.blocks)
        self.to_rgb = nn.ModuleList(EqualizedConv(head) for head in like.to_rgb)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images, not bounded."""
        x = f.linear(pixel_norm(z), self.dense.weight * self.dense.scale).view(len(z), -1, 4, 4)
        x = pixel_norm(f.leaky_relu(x + self.dense.bias.view(1, -1, 1, 1), 0.2))
        x = pixel_norm(f.leaky_relu(self.first(x), 0.2))
        for first, second in self.blocks:
            x = pixel_norm(f.leaky_relu(first(upsample(x)), 0.2))
            x = pixel_norm(f.leaky_relu(second(x), 0.2))
        return self.to_rgb[-1](x)


class GrownDiscriminator(nn.Module):
    """From images at the full resolution to scores (B,)."""

    def __init__(self, model: zoo.ProGAN) -> None:
        super().__init__()
        like = model.discriminator
        self.from_rgb = nn.ModuleList(EqualizedConv(head) for head in like.from_rgb)
        self.blocks = nn.ModuleList(nn.ModuleList(EqualizedConv(c) for c in block) for block in like.blocks)
        self.last = EqualizedConv(like.last)
        self.dense, self.readout = EqualizedDense(like.dense), EqualizedDense(like.readout)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores."""
        x = f.leaky_relu(self.from_rgb[-1](images), 0.2)
        for first, second in reversed(self.blocks):
            x = f.avg_pool2d(f.leaky_relu(second(f.leaky_relu(first(x), 0.2)), 0.2), 2)
        x = f.leaky_relu(self.last(torch.cat([x, self.deviation(x)], 1)), 0.2)
        x = f.leaky_relu(self.dense(x.flatten(1)), 0.2)
        return self.readout(x).squeeze(1)

    @staticmethod
    def deviation(x: Tensor) -> Tensor:
        """Mean deviation in groups of four images, as one map (B, 1, H, W)."""
        group = math.gcd(len(x), 4)
        y = x.view(group, -1, *x.shape[1:])
        y = torch.sqrt(((y - y.mean(0, keepdim=True)) ** 2).mean(0) + 1e-8).mean((1, 2, 3), keepdim=True)
        return y.repeat(group, 1, *x.shape[2:])


# --- weights ---------------------------------------------------------------------------------------------------------


def name_in_plain(network: nn.Module, name: str) -> str:
    """Where the zoo's parameter `name` is in the plain network: spectral norm moves weights."""
    moved = f"{name.removesuffix('weight')}parametrizations.weight.original"
    return moved if moved in dict(network.named_parameters()) else name


@torch.no_grad()
def copy_weights(source: nn.Module, plain: nn.Module) -> None:
    """Give the plain network all weights of the zoo's, and its estimates of singular vectors.

    Raises:
        KeyError: when either has a parameter that the other lacks.
    """
    targets = dict(plain.named_parameters())
    for name, weight in source.named_parameters():
        targets.pop(name_in_plain(plain, name)).copy_(weight)
    if targets:
        raise KeyError(f"the zoo's network has no {', '.join(targets)}")
    buffers = dict(plain.named_buffers())
    for name, module in source.named_modules():
        if isinstance(module, Spectral):
            place = f"{name}.parametrizations.weight.0"
            v = f.normalize(module.v.flatten(), dim=0)
            buffers[f"{place}._v"].copy_(v)
            buffers[f"{place}._u"].copy_(f.normalize(module.weight.flatten(1) @ v, dim=0))
