"""Top-k training: Sinha, Zhao, Goyal, Raffel and Odena 2020, "Top-k Training of GANs: Improving GAN Performance by
Throwing Away Bad Samples", arXiv:2002.06224.

The generator's loss keeps the k generated images that the discriminator scores highest, whose gradients point towards
real images (section 3). k falls from the whole batch by a factor for each epoch, to a share of it.

Departs from the paper: an epoch is a number of images, so that k is a function of images seen; with the relativistic
objective an image is kept by its score and its loss has no partner. With `model.micro_batches` the best are those of
each part of the batch.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.top_k.TopKGAN
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

import zoo
from zoo.errors import require_at_least
from zoo.layers.synchronised import rows_of_all
from zoo.training.contract import given_objective
from zoo.training.objectives import Terms


class TopKGAN(zoo.DCGAN):
    """DCGAN whose generator learns from its best images only.

    Args:
        lowest_share: share of the batch that k falls to, in (0, 1]; 0.5 in the paper.
        decay: factor of k for each epoch, in (0, 1]; 0.99 in the paper.
        epoch: images in an epoch; Fashion-MNIST has 60,000.
        dcgan: settings of `zoo.DCGAN`.
    """

    packable = False

    def __init__(self, lowest_share: float = 0.5, decay: float = 0.99, epoch: int = 60_000, **dcgan: Any) -> None:
        super().__init__(**dcgan)
        require_at_least(1, epoch=epoch)
        for name, value in (("lowest_share", lowest_share), ("decay", decay)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must lie in (0, 1]; got {value}")
        self.lowest_share, self.decay, self.epoch = lowest_share, decay, epoch
        self.share = 1.0

    def before_round(self, progress: int) -> None:
        """Set the share of the batch that is kept, a function of images seen: a resumed run has the same."""
        super().before_round(progress)
        self.share = max(self.lowest_share, self.decay ** (progress // self.epoch))

    def best(self, scores: Tensor) -> Tensor:
        """Return the k highest of scores (B,); those of all processes where batches are joined."""
        scores = rows_of_all(scores)
        return scores.topk(max(1, round(self.share * len(scores)))).values

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the adversarial term of the images with the highest scores."""
        (scores,) = self.scores(fake)
        return {"adversarial": given_objective(self).generator_value(self.best(scores))}
