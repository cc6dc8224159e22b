"""What the studies measure of a trained model: scores of its discriminator, distance and coverage of its samples."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

import zoo
import zoo.data.pool
from zoo.features import extractor
from zoo.metrics import FID, Rule, density_and_coverage, neighbour_statistics


@torch.no_grad()
def scores(model: zoo.GAN, images: Tensor, augmented: bool) -> Tensor:
    """Scores (B,) of images as in training: in batches of 64, in training mode; buffers are put back."""
    kept = {name: buffer.clone() for name, buffer in model.discriminator.named_buffers()}
    model.discriminator.train()
    torch.manual_seed(0)
    parts = [zoo.Batch(part) for part in images[: len(images) // 64 * 64].split(64)]
    found = torch.cat([model.score(model.shown(part) if augmented else part) for part in parts])
    for name, buffer in model.discriminator.named_buffers():
        buffer.copy_(kept[name])
    return found


def images_of(split: Any, most: int) -> Tensor:
    """Images of a split in random order."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:most]
    return zoo.data.pool.to_float(split.batch(order).images)


def features(images: Tensor) -> Tensor:
    """Features (B, W) of images."""
    judge = judged()
    return torch.cat([judge(part).float() for part in images.split(judge.batch_size)])


@cache
def judged() -> Any:
    """The extractor."""
    return extractor("effnet-lite0")


def likeness(real: Tensor, other: Tensor) -> dict[str, float]:
    """Fréchet distance and coverage of features."""
    metric = FID(width=real.shape[1])
    metric.update(real, real=True)
    metric.update(other, real=False)
    n = min(len(real), len(other))
    (statistics,) = neighbour_statistics(real[:n], other[:n], [Rule(5, True)])
    coverage = density_and_coverage(statistics, 5)["coverage"]
    return {"fd": round(float(metric.compute()["fid"]), 1), "coverage": round(float(coverage), 4)}
