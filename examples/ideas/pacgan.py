"""PacGAN: Lin, Khetan, Fanti and Oh 2018, "PacGAN: The power of two samples in generative adversarial networks",
arXiv:1712.04086, section 2: the discriminator scores m images of one origin at once, joined along channels. A generator
that lacks variety shows it within a pack, so a collapse costs more.

The losses see packs, (B / m, m * C, H, W), so all of them, penalties too, have one score for each pack. Images that are
not packed, as an audit scores them, are packed with their neighbours, and each has the score of its pack.

`zoo.DCGAN` and `zoo.VanillaGAN` have this built in, as `packing`; here it is a mixin for any model.

Departs from the paper: the networks are those of any model. Images that do not fill a pack are left out.

    python -m zoo.fit recipe=dcgan_fashion model.class=examples.ideas.pacgan.PacDCGAN model.num_classes=0
    python -m zoo.fit recipe=wgan_gp_fashion model.class=examples.ideas.pacgan.PacWGANGP model.num_classes=0
    python -m zoo.fit recipe=biggan_fashion model.class=examples.ideas.pacgan.PacBigGAN model.num_classes=0
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

import zoo
from zoo.errors import require_at_least


class Packed(zoo.GAN):
    """Mixin, for any model without classes: its discriminator scores packs of images.

    Args:
        together: images m in a pack; 1 is the model itself.
        settings: settings of the model.

    Raises:
        ValueError: for a model with classes.
    """

    base: ClassVar[type[zoo.GAN]]
    """The model that is mixed in, of which the discriminator of packs is built."""

    def __init__(self, together: int = 2, **settings: Any) -> None:
        super().__init__(**settings)
        require_at_least(1, together=together)
        if self.num_classes:
            raise ValueError(
                f"num_classes={self.num_classes}: the images of a pack have no class in common; set model.num_classes=0"
            )
        self.together = together
        if together > 1:
            self.discriminator = self.base(**{**settings, "channels": together * self.channels}).discriminator

    def packs(self, batch: zoo.Batch) -> zoo.Batch:
        """Return neighbours in a batch joined along channels: (B, C, H, W) to (B // m, m * C, H, W)."""
        if self.together == 1:
            return batch
        whole = len(batch) // self.together * self.together
        return zoo.Batch(batch.images[:whole].reshape(-1, self.together * self.channels, *batch.images.shape[2:]))

    def shown(self, batch: zoo.Batch) -> zoo.Batch:
        """Return images as the losses see them: augmented, each for itself, then packed."""
        return self.packs(super().shown(batch))

    def score(self, batch: zoo.Batch) -> Tensor:
        """Return the scores of packs, (B / m,), or of images that are not packed, (B,)."""
        if self.together == 1 or batch.images.shape[1] != self.channels:
            return super().score(batch)
        n, m = len(batch), self.together
        filled = zoo.Batch(batch.images.repeat(m, 1, 1, 1)[: -(-n // m) * m])  # the last pack has the first images too
        return super().score(self.packs(filled)).repeat_interleave(m)[:n]


class PacDCGAN(Packed, zoo.DCGAN):
    """DCGAN with packs; PacDCGAN2 of the paper by default."""

    base = zoo.DCGAN


class PacWGANGP(Packed, zoo.WGANGP):
    """WGAN-GP with packs."""

    base = zoo.WGANGP


class PacBigGAN(Packed, zoo.BigGAN):
    """BigGAN with packs."""

    base = zoo.BigGAN
