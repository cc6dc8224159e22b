"""AC-GAN: Odena, Olah and Shlens 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", arXiv:1610.09585.

The discriminator is not told the classes: a second head guesses them. Both players minimise the cross entropy of the
guesses, on real and on generated images (L_C, section 3), besides the game of real and generated (L_S).

Departs from the paper: the networks are those of `zoo.DCGAN`.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.acgan.ACGAN
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import zoo
from zoo.errors import require_at_least
from zoo.layers.convolution import Conv2d
from zoo.models import dcgan as networks
from zoo.training.objectives import Terms


class TwoHeads(nn.Module):
    """A discriminator without classes, with a second readout that guesses them.

    Args:
        trunk: the discriminator.
        num_classes: number of classes K.
    """

    def __init__(self, trunk: networks.Discriminator, num_classes: int) -> None:
        super().__init__()
        self.body, self.readout = trunk.body, trunk.readout
        self.classes = Conv2d(trunk.readout.in_channels, num_classes, trunk.readout.kernel_size[0], bias=False)
        networks.initialise(self.classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and logits of the classes (B, K)."""
        features = self.body(images)
        return self.readout(features).flatten(), self.classes(features).flatten(1)


class ACGAN(zoo.DCGAN):
    """DCGAN with an auxiliary classifier in its discriminator.

    Args:
        classification: weight of the cross entropy of the classes, for both players; 1 in the paper.
        num_classes: number of classes, at least 2.
        dcgan: further settings of `zoo.DCGAN`.
    """

    def __init__(self, classification: float = 1.0, num_classes: int = 10, **dcgan: Any) -> None:
        require_at_least(2, num_classes=num_classes)
        super().__init__(num_classes=num_classes, **dcgan)
        trunk = zoo.DCGAN(**dcgan).discriminator  # of the same settings, without classes
        assert isinstance(trunk, networks.Discriminator)
        self.discriminator = TwoHeads(trunk, num_classes).to(memory_format=torch.channels_last)
        self.classification = classification

    def score(self, batch: zoo.Batch) -> Tensor:
        """Return scores (B,) and leave logits of the classes (B, K) in `batch.heads`; the labels are not used."""
        scores: Tensor
        scores, batch.heads = self.discriminator(batch.images)
        return scores

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the game's terms and the cross entropy of the classes of real and generated images."""
        terms = super().discriminator_loss(real, fake)
        return {**terms, "classification": self.classification * (class_loss(real) + class_loss(fake))}

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the game's terms and the cross entropy of the classes of generated images."""
        terms = super().generator_loss(real, fake)
        return {**terms, "classification": self.classification * class_loss(fake)}


def class_loss(batch: zoo.Batch) -> Tensor:
    """Return the mean cross entropy of the logits that `score` left with a batch."""
    assert batch.heads is not None
    assert batch.labels is not None
    return cross_entropy(batch.heads, batch.labels)
