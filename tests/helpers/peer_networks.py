"""Networks of other projects, written anew from their layers' names and equations, to convert weights from.

Each class says what it mirrors. They compute what the source computes in eval mode, and no more.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as f


def randomised(network: Any, seed: int = 0) -> Any:
    """With weights of sensible size and statistics that are not those of a fresh network.

    Layers of `Scaled` have weights N(0, 1): scaling them is their own affair.
    """
    is_scaled = any(isinstance(module, Scaled) for module in network.modules())
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor: Tensor) -> Tensor:
        return torch.randn(tensor.shape, generator=generator)

    with torch.no_grad():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if not tensor.is_floating_point() or name.endswith(("sv0", "u0")):
                continue
            if name.endswith("var"):
                tensor.copy_(draw(tensor).abs() + 0.5)
            elif name.endswith("mean"):
                tensor.copy_(draw(tensor) * 0.3)
            elif name.endswith("gamma") or (tensor.ndim == 1 and name.endswith(("weight", "gain"))):
                tensor.copy_(1 + 0.3 * draw(tensor))
            elif tensor.ndim == 1:
                tensor.copy_(draw(tensor) * 0.1)
            else:
                tensor.copy_(draw(tensor) if is_scaled else draw(tensor) / math.sqrt(tensor[0].numel()) * 1.5)
    return network.eval()


# --- the 4x4 DCGAN of PyTorch's tutorial and examples/dcgan: netG.main.N, netD.main.N, the latter with a sigmoid ---


def tutorial_generator(latent: int, width: int, channels: int) -> nn.Module:
    widths = [latent, 8 * width, 4 * width, 2 * width, width, channels]
    layers: list[nn.Module] = []
    for i in range(5):
        layers.append(
            nn.ConvTranspose2d(widths[i], widths[i + 1], 4, 1 if i == 0 else 2, 0 if i == 0 else 1, bias=False)
        )
        layers += [nn.BatchNorm2d(widths[i + 1]), nn.ReLU(True)] if i < 4 else [nn.Tanh()]
    network = nn.Module()
    network.main = nn.Sequential(*layers)
    return network


def tutorial_discriminator(width: int, channels: int) -> nn.Module:
    widths = [channels, width, 2 * width, 4 * width, 8 * width, 1]
    layers: list[nn.Module] = []
    for i in range(5):
        layers.append(nn.Conv2d(widths[i], widths[i + 1], 4, 2 if i < 4 else 1, 1 if i < 4 else 0, bias=False))
        layers += [nn.BatchNorm2d(widths[i + 1])] if 0 < i < 4 else []
        layers.append(nn.LeakyReLU(0.2, True) if i < 4 else nn.Sigmoid())
    network = nn.Module()
    network.main = nn.Sequential(*layers)
    return network


# --- pytorch_GAN_zoo, models/networks/DCGAN_nets.py: named layers, the discriminator's counted from the other end ---


def gan_zoo_dcgan_generator(latent: int, width: int, channels: int, depth: int) -> nn.Module:
    network, main = nn.Module(), nn.Sequential()
    now = width * 2**depth
    network.formatLayer = nn.ConvTranspose2d(latent, now, 4, 1, 0, bias=False)
    main.add_module("batchNorm0", nn.BatchNorm2d(now))
    main.add_module("relu0", nn.ReLU())
    for i in range(1, depth + 1):
        main.add_module(f"convTranspose{i}", nn.ConvTranspose2d(now, now // 2, 4, 2, 1, bias=False))
        now //= 2
        main.add_module(f"batchNorm{i}", nn.BatchNorm2d(now))
        main.add_module(f"relu{i}", nn.ReLU())
    main.add_module("outlayer", nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False))
    network.main = main
    network.forward = lambda z: torch.tanh(main(network.formatLayer(z[:, :, None, None])))  # type: ignore[method-assign]
    return network


def gan_zoo_dcgan_discriminator(width: int, channels: int, depth: int, outputs: int = 1) -> nn.Module:
    network, main = nn.Module(), nn.Sequential()
    main.add_module(f"convTranspose{depth}", nn.Conv2d(channels, width, 4, 2, 1, bias=False))
    main.add_module(f"relu{depth}", nn.LeakyReLU(0.2))
    for i in reversed(range(depth)):
        main.add_module(f"convTranspose{i}", nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False))
        width *= 2
        main.add_module(f"batchNorm{i}", nn.BatchNorm2d(width))
        main.add_module(f"relu{i}", nn.LeakyReLU(0.2))
    network.main = main
    network.decisionLayer = nn.Conv2d(width, outputs, 4, 1, 0, bias=False)
    network.forward = lambda x: network.decisionLayer(main(x)).flatten(1)  # type: ignore[method-assign]
    return network


# --- pytorch_GAN_zoo, models/networks/progressive_conv_net.py, custom_layers.py, mini_batch_stddev_module.py ---


class Scaled(nn.Module):
    """Weight and bias, then times sqrt(2 / fan in)."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 0) -> None:
        super().__init__()
        self.module = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2) if kernel else nn.Linear(inputs, outputs)
        self.constant = math.sqrt(2 / self.module.weight[0].numel())

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x) * self.constant


def leaky(x: Tensor) -> Tensor:
    return f.leaky_relu(x, 0.2)


def pixel_norm(x: Tensor) -> Tensor:
    return x * ((x**2).mean(1, keepdim=True) + 1e-8).rsqrt()


class GanZooGenerator(nn.Module):
    alpha = 0.0  # weight of the previous resolution

    def __init__(self, latent: int, depths: list[int], channels: int) -> None:
        super().__init__()
        self.formatLayer = Scaled(latent, 16 * depths[0])
        self.groupScale0 = nn.ModuleList([Scaled(depths[0], depths[0], 3)])
        self.scaleLayers = nn.ModuleList(
            nn.ModuleList([Scaled(a, b, 3), Scaled(b, b, 3)]) for a, b in itertools.pairwise(depths)
        )
        self.toRGBLayers = nn.ModuleList(Scaled(depth, channels, 1) for depth in depths)

    def forward(self, z: Tensor) -> Tensor:
        x = pixel_norm(leaky(self.formatLayer(pixel_norm(z))).view(len(z), -1, 4, 4))
        x = pixel_norm(leaky(self.groupScale0[0](x)))
        before = x
        for pair in self.scaleLayers:
            before = x = f.interpolate(x, scale_factor=2)
            for layer in pair:
                x = pixel_norm(leaky(layer(x)))
        x = self.toRGBLayers[-1](x)
        # The source converts to colours first and enlarges then; with nearest neighbours it is the same.
        return self.alpha * self.toRGBLayers[-2](before) + (1 - self.alpha) * x if self.alpha else x


class GanZooDiscriminator(nn.Module):
    alpha = 0.0  # weight of the previous resolution

    def __init__(
        self, depths: list[int], channels: int, outputs: int = 1, deviation: bool = True, old: bool = False
    ) -> None:
        super().__init__()
        self.deviation, self.old = deviation, old
        self.decisionLayer = Scaled(depths[0], outputs)
        self.groupScaleZero = nn.ModuleList(
            [Scaled(depths[0] + deviation, depths[0], 3), Scaled(16 * depths[0], depths[0])]
        )
        self.scaleLayers = nn.ModuleList(
            nn.ModuleList([Scaled(b, b, 3), Scaled(b, a, 3)]) for a, b in itertools.pairwise(depths)
        )
        self.fromRGBLayers = nn.ModuleList(Scaled(channels, depth, 1) for depth in depths)

    def forward(self, x: Tensor) -> Tensor:
        small = f.avg_pool2d(x, 2)
        x = leaky(self.fromRGBLayers[-1](x))
        for i, pair in enumerate(reversed(self.scaleLayers)):
            for layer in pair:
                x = leaky(layer(x))
            x = f.avg_pool2d(x, 2)
            if i == 0 and self.alpha and len(self.scaleLayers) > 1:
                x = self.alpha * leaky(self.fromRGBLayers[-2](small)) + (1 - self.alpha) * x
        if self.deviation:
            x = self.with_deviation(x)
        return self.decisionLayer(leaky(self.groupScaleZero[1](leaky(self.groupScaleZero[0](x)).flatten(1))))

    def with_deviation(self, x: Tensor) -> Tensor:
        """Image by image: the number that it is given is that of group i // size.

        Since July 2019 a group is of neighbours; before, its images were those of one remainder by their number.
        """
        n, size = len(x), 4 if len(x) % 4 == 0 else len(x)
        if size == 1:
            return torch.cat([x, torch.zeros_like(x[:, :1])], 1)
        groups = n // size
        members = [x[g::groups] if self.old else x[g * size : (g + 1) * size] for g in range(groups)]
        numbers = [torch.sqrt(group.var(0) + 1e-8).mean() for group in members]
        extra = torch.stack([numbers[i // size] for i in range(n)])
        return torch.cat([x, extra[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)


# --- ajbrock/BigGAN-PyTorch: layers.py, BigGAN.py, BigGANdeep.py ---


class Normed(nn.Module):
    """A weight over its largest singular value by one power iteration from the stored left vector, u0."""

    def __init__(self, *shape: int, bias: bool = True, embeds: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape[0])) if bias else None
        self.register_buffer("u0", torch.randn(1, shape[0]))
        self.register_buffer("sv0", torch.ones(1))
        self.embeds = embeds

    def forward(self, x: Tensor) -> Tensor:
        matrix = self.weight.flatten(1)
        v = f.normalize(self.u0 @ matrix)
        u = f.normalize(v @ matrix.T)
        weight = self.weight / (v @ matrix.T @ u.T).squeeze()
        if self.embeds:
            return f.embedding(x, weight)
        if weight.ndim == 2:
            return f.linear(x, weight, self.bias)
        return f.conv2d(x, weight, self.bias, padding=weight.shape[-1] // 2)


class Norm(nn.Module):
    """ccbn, or with `condition=None` bn."""

    def __init__(self, channels: int, condition: int | None, classes: int = 0, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        if classes:
            self.gain, self.bias = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        elif condition is not None:
            self.gain, self.bias = Normed(channels, condition, bias=False), Normed(channels, condition, bias=False)
        else:
            self.gain, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))
        self.register_buffer("stored_mean", torch.zeros(channels))
        self.register_buffer("stored_var", torch.ones(channels))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        if isinstance(self.gain, nn.Parameter):
            return f.batch_norm(x, self.stored_mean, self.stored_var, self.gain, self.bias, eps=self.eps)
        x = f.batch_norm(x, self.stored_mean, self.stored_var, eps=self.eps)
        return x * (1 + self.gain(y))[:, :, None, None] + self.bias(y)[:, :, None, None]


class Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta = Normed(channels // 8, channels, 1, 1, bias=False)
        self.phi = Normed(channels // 8, channels, 1, 1, bias=False)
        self.g = Normed(channels // 2, channels, 1, 1, bias=False)
        self.o = Normed(channels, channels // 2, 1, 1, bias=False)
        self.gamma = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        theta = self.theta(x).flatten(2)
        phi, g = (f.max_pool2d(layer(x), 2).flatten(2) for layer in (self.phi, self.g))
        beta = torch.softmax(theta.transpose(1, 2) @ phi, -1)
        return self.gamma * self.o((g @ beta.transpose(1, 2)).view(len(x), -1, *x.shape[2:])) + x


class GBlock(nn.Module):
    def __init__(self, a: int, b: int, norm: Any) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv_sc = Normed(b, a, 3, 3), Normed(b, b, 3, 3), Normed(b, a, 1, 1)
        self.bn1, self.bn2 = norm(a), norm(b)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = f.interpolate(f.relu(self.bn1(x, y)), scale_factor=2)
        h = self.conv2(f.relu(self.bn2(self.conv1(h), y)))
        return h + self.conv_sc(f.interpolate(x, scale_factor=2))


class DBlock(nn.Module):
    def __init__(self, a: int, b: int, first: bool, halve: bool) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        self.conv1, self.conv2 = Normed(b, a, 3, 3), Normed(b, b, 3, 3)
        if a != b or halve:
            self.conv_sc = Normed(b, a, 1, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.conv2(f.relu(self.conv1(x if self.first else f.relu(x))))
        h = f.avg_pool2d(h, 2) if self.halve else h
        if self.first:
            return h + self.conv_sc(f.avg_pool2d(x, 2))
        x = self.conv_sc(x) if hasattr(self, "conv_sc") else x
        return h + (f.avg_pool2d(x, 2) if self.halve else x)


class DeepGBlock(nn.Module):
    def __init__(self, a: int, b: int, double: bool, norm: Any) -> None:
        super().__init__()
        self.b, self.double, h = b, double, a // 4
        self.conv1, self.conv2 = Normed(h, a, 1, 1), Normed(h, h, 3, 3)
        self.conv3, self.conv4 = Normed(h, h, 3, 3), Normed(b, h, 1, 1)
        self.bn1, self.bn2, self.bn3, self.bn4 = norm(a), norm(h), norm(h), norm(h)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = f.relu(self.bn2(self.conv1(f.relu(self.bn1(x, y))), y))
        x = x[:, : self.b]
        if self.double:
            h, x = f.interpolate(h, scale_factor=2), f.interpolate(x, scale_factor=2)
        h = self.conv3(f.relu(self.bn3(self.conv2(h), y)))
        return self.conv4(f.relu(self.bn4(h, y))) + x


class DeepDBlock(nn.Module):
    def __init__(self, a: int, b: int, halve: bool) -> None:
        super().__init__()
        self.halve, h = halve, b // 4
        self.conv1, self.conv2 = Normed(h, a, 1, 1), Normed(h, h, 3, 3)
        self.conv3, self.conv4 = Normed(h, h, 3, 3), Normed(b, h, 1, 1)
        if a != b:
            self.conv_sc = Normed(b - a, a, 1, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = f.relu(self.conv3(f.relu(self.conv2(f.relu(self.conv1(f.relu(x)))))))
        if self.halve:
            h, x = f.avg_pool2d(h, 2), f.avg_pool2d(x, 2)
        if hasattr(self, "conv_sc"):
            x = torch.cat([x, self.conv_sc(x)], 1)
        return self.conv4(h) + x


G_WIDTHS = {32: [4, 4, 4, 4], 64: [16, 16, 8, 4, 2]}
D_WIDTHS = {32: [4, 4, 4, 4], 64: [1, 2, 4, 8, 16]}
D_HALVES = {32: [True, True, False, False], 64: [True] * 4 + [False]}


class BrockGenerator(nn.Module):
    """`kind`: chunks of the latent (`hier`), none (`shared`), no shared embedding either (`classes`), or `deep`,
    whose last convolution gives more channels than the three that are kept."""

    def __init__(
        self,
        resolution: int,
        width: int,
        latent: int,
        classes: int,
        shared: int,
        kind: str,
        attention: int = 0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        widths = [width * m for m in G_WIDTHS[resolution]]
        self.kind, slots = kind, len(widths)
        self.chunk = latent // slots if kind == "hier" else latent
        condition = {"hier": shared + self.chunk, "classes": None, "deep": shared + latent, "shared": shared}[kind]

        def norm(channels: int) -> Norm:
            return Norm(channels, condition, classes if kind == "classes" else 0, eps)

        self.shared = nn.Identity() if kind == "classes" else nn.Embedding(classes, shared)
        self.linear = Normed(16 * widths[0], latent + shared if kind == "deep" else self.chunk)
        blocks: list[list[nn.Module]] = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            blocks += (
                [[DeepGBlock(a, a, False, norm)], [DeepGBlock(a, b, True, norm)]]
                if kind == "deep"
                else [[GBlock(a, b, norm)]]
            )
            blocks[-1] += [Attention(b)] if 8 * 2**i == attention else []
        self.blocks = nn.ModuleList(nn.ModuleList(block) for block in blocks)
        last = Normed(8 if kind == "deep" else 3, widths[-1], 3, 3)
        self.output_layer = nn.Sequential(Norm(widths[-1], None), nn.ReLU(), last)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        y = self.shared(labels)
        if self.kind == "deep":
            z = y = torch.cat([z, y], 1)
            ys = [y] * len(self.blocks)
        elif self.kind == "hier":
            z, *chunks = torch.split(z, self.chunk, 1)
            ys = [torch.cat([y, chunk], 1) for chunk in chunks]
        else:
            ys = [y] * len(self.blocks)
        h = self.linear(z).view(len(z), -1, 4, 4)
        for block, condition in zip(self.blocks, ys):
            for layer in block:
                h = layer(h, condition)
        return torch.tanh(self.output_layer(h)[:, :3])


class BrockDiscriminator(nn.Module):
    def __init__(self, resolution: int, width: int, classes: int, deep: bool, attention: int = 0) -> None:
        super().__init__()
        widths, halves = [width * m for m in D_WIDTHS[resolution]], D_HALVES[resolution]
        blocks: list[list[nn.Module]] = []
        if deep:
            self.input_conv = Normed(widths[0], 3, 3, 3)
            for a, b, halve in zip(widths, widths[1:], halves):
                blocks.append([DeepDBlock(a, b, halve), DeepDBlock(b, b, False)])
        else:
            for i, (a, b, halve) in enumerate(zip([3, *widths], widths, halves)):
                blocks.append([DBlock(a, b, i == 0, halve)])
        for i, block in enumerate(blocks):
            if attention and resolution // 2 ** (i + 1) == attention:
                block.append(Attention(widths[i + 1] if deep else widths[i]))
        self.blocks = nn.ModuleList(nn.ModuleList(block) for block in blocks)
        self.linear, self.embed = Normed(1, widths[-1]), Normed(classes, widths[-1], bias=False, embeds=True)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.input_conv(x) if hasattr(self, "input_conv") else x
        for block in self.blocks:
            for layer in block:
                h = layer(h)
        h = f.relu(h).sum((2, 3))
        return self.linear(h).squeeze(1) + (self.embed(labels) * h).sum(1)
