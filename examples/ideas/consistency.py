"""Consistency regularisation. CR: Zhang, Zhang, Odena and Lee 2020, arXiv:1910.12027, algorithm 1: the discriminator
pays when a real image and a changed copy of it have different scores. bCR: Zhao, Singh, Lee, Zhang, Odena and Zhang
2021, "Improved Consistency Regularization for GANs", arXiv:2002.04724, algorithm 1: the same for generated images.

A change is a horizontal flip of half of the images and a shift by up to an eighth of the size, which at 32 px is the
papers' 4 pixels; uncovered pixels show the image mirrored at its edge. The losses themselves see the images unchanged,
unlike with `model.augment`.

Departs from the papers: the networks are those of `sngan.py`. On `zoo.DCGAN`, without spectral norm, a weight of 10
leaves the discriminator undecided (FD-effnet-lite0 1,410 in place of 750 on Fashion-MNIST, two seeds each).

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.consistency.ConsistentGAN model.r1=0
    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.consistency.ConsistentGAN model.r1=0 \
        model.fake_consistency=10
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import zoo
from examples.ideas.sngan import SNGAN
from zoo.errors import require_at_least
from zoo.training.augment import translation
from zoo.training.objectives import Terms


class Consistent(zoo.GAN):
    """Mixin, for any model: the discriminator's scores are to be the same for changed images.

    Args:
        consistency: weight of the squared difference for real images; 10 in both papers.
        fake_consistency: weight of the same for generated images: 0 for CR, 10 for bCR.
        settings: settings of the model.
    """

    packable = False

    def __init__(self, consistency: float = 10.0, fake_consistency: float = 0.0, **settings: Any) -> None:
        super().__init__(**settings)
        require_at_least(0, consistency=consistency, fake_consistency=fake_consistency)
        self.consistency, self.fake_consistency = consistency, fake_consistency

    def changed(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) that show the same: half of them mirrored, all of them shifted."""
        mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
        return translation(torch.where(mirrored, images.flip(-1), images), "reflect")

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the model's terms and `E[(D(x) - D(T(x)))^2]` of the batches that have a weight."""
        terms = super().discriminator_loss(real, fake)
        weights = {"real": self.consistency, "fake": self.fake_consistency}
        batches = {name: batch for name, batch in (("real", real), ("fake", fake)) if weights[name]}
        if not batches:
            return terms
        changed = [zoo.Batch(self.changed(batch.images), batch.labels) for batch in batches.values()]
        for (name, batch), scores in zip(batches.items(), self.scores(*changed)):
            assert batch.scores is not None
            terms[f"{name}_consistency"] = weights[name] * (batch.scores - scores).square().mean()
        return terms


class ConsistentGAN(Consistent, SNGAN):
    """SNGAN with consistency regularisation."""
