"""Projected GAN: Sauer, Chitta, Müller and Geiger 2021, "Projected GANs Converge Faster", arXiv:2111.01007.

The discriminator sees not images but features of a frozen network trained on ImageNet, EfficientNet-Lite0 as in the
paper, at four depths. They are mixed by fixed random convolutions: 1x1 across channels, and 3x3 from deep to shallow
maps across scales (section 3.2). A small discriminator with spectral and batch norm judges the map of each depth; the
hinge loss is the mean over all their logits. Needs `pip install 'gan-zoo[metrics]'`.

Departs from the paper: images are enlarged to `size`, not to 224 px; the small discriminators have one width. The
generator is that of `fastgan.py`, as one of the authors'. With that of `zoo.DCGAN` all samples were soon one image.

    python -m zoo.fit recipe=examples/ideas/fastgan_fashion.yaml model.class=examples.ideas.projected.ProjectedGAN \
        model.generator_lr=0.0002 model.discriminator_lr=0.0002 model.betas=[0.0,0.99] \
        model.augment=[color,translation,cutout]
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import zoo
from examples.ideas.fastgan import FastGAN
from zoo.features.effnet import EffNetLite0
from zoo.layers.rectifier import LeakyReLU
from zoo.layers.spectral import SpectralConv2d, SpectralHalvingConv2d
from zoo.training.contract import given_objective
from zoo.training.objectives import Terms


class ProjectedDiscriminator(nn.Module):
    """Frozen features of images of `size` pixels, mixed at random to `width` channels, and what judges each depth."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        network = EffNetLite0(size).network
        stem, blocks = nn.Sequential(network.conv_stem, network.bn1), network.blocks
        self.stages = nn.ModuleList([nn.Sequential(stem, blocks[:2]), blocks[2], blocks[3:5], blocks[5:]])
        self.channels = nn.ModuleList(nn.Conv2d(inputs, width, 1) for inputs in (24, 40, 112, 320))
        self.scales = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(4))
        self.requires_grad_(False)
        self.judges = nn.ModuleList()
        for halvings in (3, 2, 1, 0):  # from 1/4, 1/8, 1/16 and 1/32 of the size to 1/32
            layers: list[nn.Module] = []
            for _ in range(halvings):
                layers += [SpectralHalvingConv2d(width, width), nn.BatchNorm2d(width), LeakyReLU(0.2, True)]
            self.judges.append(nn.Sequential(*layers, SpectralConv2d(width, 1)))

    def projections(self, images: Tensor) -> list[Tensor]:
        """Return mixed maps (B, width, h, w) of images (B, C, H, W) in [-1, 1], from the shallowest depth on."""
        x = ((images * 127.5 + 0.5) / 128).expand(-1, 3, -1, -1)  # as the network was trained
        x = interpolate(x, size=(self.size, self.size), mode="bilinear")
        maps = [mix(x := stage(x)) for stage, mix in zip(self.stages, self.channels)]
        mixed = [self.scales[3](maps[3])]
        for i in (2, 1, 0):
            mixed.insert(0, self.scales[i](maps[i] + interpolate(mixed[0], size=maps[i].shape[2:], mode="bilinear")))
        return mixed

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, L) of all depths and places."""
        return torch.cat([judge(x).flatten(1) for judge, x in zip(self.judges, self.projections(images))], 1)


class ProjectedGAN(FastGAN):
    """FastGAN's generator against projected features. `fastgan` are settings of `FastGAN`."""

    couples_batch = True

    def __init__(self, size: int = 96, judge_width: int = 64, **fastgan: Any) -> None:
        super().__init__(**fastgan)
        if size < 32 or size % 32:
            raise ValueError(f"size must be a multiple of 32, by which the features are smaller; got {size}")
        self.discriminator = ProjectedDiscriminator(size, judge_width).to(memory_format=torch.channels_last)

    def score(self, batch: zoo.Batch) -> Tensor:
        """Return the mean logit (B,) of each image and leave all of them (B, L) in `batch.heads`."""
        batch.heads = self.discriminator(batch.images)
        return batch.heads.mean(1)

    def logits(self, *batches: zoo.Batch) -> tuple[Tensor, ...]:
        """Return all logits (B, L) of each batch."""
        self.scores(*batches)
        return tuple(batch.heads for batch in batches)  # type: ignore[misc]

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the objective of all logits, and the gradient penalties of their means if they have a weight."""
        objective = given_objective(self)
        *_, penalties = objective.scores_and_penalties(self.scores, real, fake)
        assert real.heads is not None
        assert fake.heads is not None
        return {"adversarial": objective.discriminator_value(real.heads, fake.heads), **penalties}

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the objective of all logits."""
        return given_objective(self).generator(self.logits, real, fake)
