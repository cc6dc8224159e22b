"""ReACGAN: Kang, Shim, Cho and Park 2021, "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training",
arXiv:2111.01118.

The auxiliary classifier of AC-GAN works on the unit sphere, so its gradients cannot explode, and compares each image
with its class's proxy and the images of other classes in the batch (or its part, with `micro_batches`): data-to-data
cross entropy (D2D-CE, section 3), whose margins leave out easy pairs. D learns it from real images only.

Departs from the paper: the networks are those of `zoo.BigGAN` at any size; weight, margin and temperature are those of
the authors' CIFAR-10 configuration (PyTorch-StudioGAN), where an embedding has 512 numbers.

    python -m zoo.fit recipe=biggan_fashion model.class=examples.ideas.reacgan.ReACGAN
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

import zoo
from zoo.layers.rectifier import relu
from zoo.layers.spectral import SpectralEmbedding, SpectralLinear
from zoo.layers.synchronised import rows_of_all
from zoo.models import biggan as networks
from zoo.training.objectives import Terms


class Embedding(nn.Module):
    """BigGAN's discriminator without classes, with embeddings of images and proxies of classes beside the scores."""

    def __init__(self, trunk: networks.Discriminator, dim: int, num_classes: int) -> None:
        super().__init__()
        self.body, self.readout = trunk.body, trunk.readout
        self.embedding = SpectralLinear(trunk.readout.linear.weight.shape[1], dim)
        self.proxies = SpectralEmbedding(num_classes, dim)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (B,) and embeddings (B, E) of length 1."""
        maps = self.body(images)
        embeddings = self.embedding(relu(maps).sum((2, 3)))
        return self.readout(maps, None), normalize(embeddings.float(), dim=1)


class ReACGAN(zoo.BigGAN):
    """BigGAN whose discriminator learns the classes by the data-to-data cross entropy.

    Args:
        d2d: weight of the data-to-data cross entropy, for both players.
        margin: m_p, the similarity to the proxy above which nothing is gained; that of other classes is 1 - m_p.
        temperature: temperature of the similarities.
        embedding_dim: length E of the embeddings.
        num_classes: number of classes.
        biggan: further settings of `zoo.BigGAN`.
    """

    def __init__(
        self,
        d2d: float = 0.5,
        margin: float = 0.98,
        temperature: float = 0.5,
        embedding_dim: int = 128,
        num_classes: int = 10,
        **biggan: Any,
    ) -> None:
        super().__init__(num_classes=num_classes, **biggan)
        trunk = zoo.BigGAN(num_classes=0, **biggan).discriminator
        assert isinstance(trunk, networks.Discriminator)
        self.discriminator = Embedding(trunk, embedding_dim, num_classes).to(memory_format=torch.channels_last)
        self.d2d, self.margin, self.temperature = d2d, margin, temperature

    def score(self, batch: zoo.Batch) -> Tensor:
        """Return scores (B,) and leave embeddings (B, E) in `batch.heads`; the labels are not used."""
        scores: Tensor
        scores, batch.heads = self.discriminator(batch.images)
        return scores

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the game's terms and the data-to-data cross entropy of real images."""
        return {**super().discriminator_loss(real, fake), "d2d": self.d2d * self.class_loss(real)}

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the game's terms and the data-to-data cross entropy of generated images."""
        return {**super().generator_loss(real, fake), "d2d": self.d2d * self.class_loss(fake)}

    def class_loss(self, batch: zoo.Batch) -> Tensor:
        """Return the data-to-data cross entropy of the embeddings that `score` left with a batch."""
        assert batch.heads is not None
        assert batch.labels is not None
        proxies = self.discriminator.proxies(batch.labels)  # type: ignore[operator]
        return d2d_ce(batch.heads, normalize(proxies.float(), dim=1), batch.labels, self.margin, self.temperature)


def d2d_ce(embeddings: Tensor, proxies: Tensor, labels: Tensor, margin: float, temperature: float) -> Tensor:
    """Return the D2D-CE for embeddings (B, E) and the proxies (B, E) of their classes, all of length 1."""
    attraction = ((embeddings * proxies).sum(1) - margin).clamp(max=0) / temperature
    repulsion = (embeddings @ rows_of_all(embeddings).T - (1 - margin)).relu() / temperature
    repulsion = repulsion.masked_fill(labels[:, None] == rows_of_all(labels), -torch.inf)  # of the same class
    return (torch.cat([attraction[:, None], repulsion], 1).logsumexp(1) - attraction).mean()
