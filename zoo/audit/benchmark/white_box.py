"""White-box membership inference: which images were trained on, by the scores of a trained discriminator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.audit.benchmark.membership import MOST, attack
from zoo.audit.benchmark.power import halves
from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.subject import SubjectAdapter
from zoo.audit.opening import open_checkpoint
from zoo.audit.zoo_model import adapt
from zoo.data.pool import to_float
from zoo.errors import UserError


def open_discriminator(where: str, train: str, held_out: str, device: torch.device) -> SubjectAdapter:
    """Open the discriminator of a run, a checkpoint or a release.

    Args:
        where: the model, as `zoo.sample` takes it.
        train: folder or file of the training images, which the report names.
        held_out: folder or file of the held-out images.
        device: device of the model.

    Raises:
        UserError: for a model that cannot be opened, or whose discriminator needs the classes of the images.
    """
    opened = open_checkpoint(where, {}, device, folders=(train, held_out))
    if opened.subject.num_classes:
        raise UserError(
            f"discriminator={where}: it judges an image by its class as well. The benchmark takes models without "
            "classes; `python -m zoo.audit only=discriminator` measures this one"
        )
    return adapt(opened.subject, opened.name)


def white_box(discriminator: SubjectAdapter, train: ImageSet, held_out: ImageSet, seeds: int) -> dict[str, Any]:
    """Attack by the scores of a discriminator: one that knows its training images by heart scores them higher.

    Members are the training images, at most 10,000; others are one half of the held-out images for each seed.

    Args:
        discriminator: the discriminator.
        train: images that it was trained on.
        held_out: images that it was not trained on.
        seeds: number of seeds.

    Returns:
        `model`, its name; `members`, their number; `auc` and `tpr`, a value for each seed.

    Raises:
        UserError: for images of another size than the discriminator's.
    """
    channels, *_, side = discriminator.image_shape(0)
    if train.shape[-1] != side:
        raise UserError(
            f"discriminator: it judges images of {side} px; the benchmark reads them at {train.shape[-1]} px. Give "
            f"resolution={side}"
        )
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:MOST]
    members, others = (_scores(discriminator, images, channels) for images in (train.take(chosen), held_out))
    attacks = [
        attack(members, others[half.rows]) for half, *_ in halves(len(held_out), seeds, "scores of the discriminator")
    ]
    return {
        "model": discriminator.name,
        "members": len(members),
        "auc": [each.auc for each in attacks],
        "tpr": [each.tpr for each in attacks],
    }


def _scores(discriminator: SubjectAdapter, images: ImageSet, channels: int) -> Tensor:
    """Return the scores (N,) of images, which are read as colour and made grey for a model of one channel."""
    parts = (to_float(part) for part in images.parts())
    return torch.cat([discriminator.score(part.mean(1, keepdim=True) if channels == 1 else part) for part in parts])
