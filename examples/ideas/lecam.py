"""LeCam regularisation: Tseng, Jiang, Liu, Yang and Yang 2021, "Regularizing Generative Adversarial Networks under
Limited Data", arXiv:2104.03310, as in the authors' code (google/lecam-gan, lecam_loss.py).

A discriminator that knows few images by heart drives their scores apart from those of generated images. The regulariser
holds the scores of real images to the running mean of the generated ones', and the other way round. With the
Wasserstein objective the game then minimises a LeCam divergence (proposition 1). As in the authors' code only scores
that are ahead of the other mean are held, the means have decay 0.99, and their start at 0 is corrected.

Departs from the paper: the weight's default. On several devices each has running means of its own, unless batches are
joined (`trainer.sync_batchnorm=true`).

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.lecam.LeCamGAN model.lecam=0.1
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.errors import require_at_least
from zoo.layers.synchronised import mean_over_processes
from zoo.training.objectives import Terms


class LeCam(zoo.GAN):
    """Mixin, for any model: its discriminator's scores are held to running means.

    Args:
        lecam: weight of the regulariser.
        decay: share of a running mean that is left after one batch, or after one of `micro_batches`; in [0, 1).
        settings: settings of the model.
    """

    means: Tensor
    seen: Tensor

    def __init__(self, lecam: float = 0.1, decay: float = 0.99, **settings: Any) -> None:
        super().__init__(**settings)
        require_at_least(0, lecam=lecam)
        if not 0 <= decay < 1:
            raise ValueError(f"decay of the running means must lie in [0, 1); got {decay}")
        self.lecam, self.decay = lecam, decay
        # State between rounds belongs in buffers: they are saved, resumed, and shared by the pairs of a mixture.
        self.register_buffer("means", torch.zeros(2))  # of the scores of real and of generated images
        self.register_buffer("seen", torch.zeros(()))  # the share of a mean that is not its start at 0

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the model's terms and the regulariser, computed from the same scores."""
        terms = super().discriminator_loss(real, fake)
        assert real.scores is not None
        assert fake.scores is not None
        now = torch.stack([real.scores.detach().mean(), fake.scores.detach().mean()])
        now = mean_over_processes(now.to(self.means.dtype))
        self.means.lerp_(now, 1 - self.decay)
        self.seen.mul_(self.decay).add_(1 - self.decay)
        real_mean, fake_mean = self.means / self.seen
        excess = (real.scores - fake_mean).relu().square().mean() + (real_mean - fake.scores).relu().square().mean()
        return {**terms, "lecam": self.lecam * excess}


class LeCamGAN(LeCam, zoo.DCGAN):
    """DCGAN with LeCam regularisation."""
