"""Discriminators that score several images together: PacGAN, Lin, Khetan, Fanti and Oh 2018, "PacGAN: The power of two
samples in generative adversarial networks", arXiv:1712.04086, section 3.

A discriminator of packs is that of single images with more channels. It sees how much generated images vary, so a
generator that leaves modes out is found out sooner.
"""

from __future__ import annotations

from torch import Tensor

from zoo.gan import GAN
from zoo.training.batch import Batch
from zoo.training.contract import scored
from zoo.training.objectives import Terms
from zoo.training.packing import packs, with_followers


class Packed(GAN):
    """GAN whose discriminator may score several images together, joined along channels. Unconditional if it does.

    Real and generated images become packs in the losses, after augmentation; a pack is one input of the objective, with
    one score and one gradient penalty. Elsewhere, as in the alarms and the audit, a score is asked for each image.
    """

    packing = 1
    """Number of images that the discriminator scores together."""

    packable = True
    """Whether discriminator and losses of a class work with packs; False in a subclass for which they do not."""

    def pack(self, size: int) -> None:
        """Set the number of images that the discriminator scores together; a constructor calls it at its end.

        Raises:
            ValueError: for packs of labelled images, or in a class that is not `packable`.
        """
        if size > 1 and not self.packable:
            raise ValueError(f"packing={size}: {type(self).__name__} judges single images only; set packing=1")
        if size > 1 and self.num_classes:
            raise ValueError(f"packing={size} is for unconditional models; set num_classes=0 or packing=1")
        self.packing = size

    def score(self, batch: Batch) -> Tensor:
        """Return logits (B,), one for each pack, or for each image, which is then joined with those after it."""
        if batch.images.shape[1] == self.channels:
            batch = with_followers(batch, self.packing)
        return super().score(batch)

    def scores(self, *batches: Batch) -> tuple[Tensor, ...]:
        """Score each batch, see `GAN.scores`; single images are joined with those of their own batch alone."""
        if self.packing > 1 and any(batch.images.shape[1] == self.channels for batch in batches):
            return tuple(scored(self, batch) for batch in batches)
        return super().scores(*batches)

    def discriminator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the terms of the objective, as means over packs; the scores of packs are left in the batches."""
        real_packs, fake_packs = packs(real, self.packing), packs(fake, self.packing)
        terms = super().discriminator_loss(real_packs, fake_packs)
        real.scores, fake.scores = real_packs.scores, fake_packs.scores
        return terms

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the terms of the objective, as means over packs."""
        return super().generator_loss(packs(real, self.packing), packs(fake, self.packing))
