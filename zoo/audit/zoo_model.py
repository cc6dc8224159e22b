"""Models of this library as subjects of an audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.subject import SubjectAdapter, images_at_once
from zoo.gan import GAN
from zoo.sampling.images import in_batches
from zoo.sampling.protocol import RowNetworks, in_dtype_of
from zoo.training.batch import Batch
from zoo.training.seeding import seeded


class ZooModelAdapter(SubjectAdapter):
    """The adapter of a `zoo.GAN`: its images are drawn by the averaged generator.

    Args:
        model: the model.
        name: name of the model in the report; empty for the name of its class.
    """

    subject: GAN

    def __init__(self, model: GAN, name: str = "") -> None:
        super().__init__(model, name)

    @property
    def zero(self) -> float | None:
        """The score that means undecided; None for losses whose scores have no fixed zero."""
        return self.subject.undecided

    def image_shape(self, seed: int) -> tuple[int, int, int]:
        """Return the shape (C, H, W) of the model's images."""
        return self.subject.channels, self.subject.resolution, self.subject.resolution

    def choose_networks(self, n: int, seed: int) -> RowNetworks:
        """Choose the network that draws each of n images: one of a mixture's generators, or the only one."""
        with seeded(seed, self.device, all_devices=True):
            return self.subject.choose_networks(n)

    def _draw(self, n: int, seed: int, labels: Tensor | None) -> Iterator[tuple[int, Any]]:
        """Draw images (n, C, H, W) in batches that fit into memory."""
        batch_size = images_at_once(self.subject.channels * self.subject.resolution**2)
        batches = in_batches(self.subject, n, seed=seed, labels=labels, batch_size=batch_size)
        return ((len(images), images) for images in batches)

    def _score(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Score images (B, C, H, W) of classes (B,) or None."""
        return self.subject.score(Batch(in_dtype_of(self.subject.discriminator, images), labels))

    def _generate(self, latents: Tensor, labels: Tensor | None, networks: RowNetworks | None) -> Tensor:
        """Make images of the model's full resolution from latents (B, Z), classes (B,) and the network of each row."""
        networks = RowNetworks([self.subject.average]) if networks is None else networks
        images = networks.generate(self.subject, latents, labels)
        if images.shape[-1] != self.subject.resolution:  # a network that is still growing
            images = interpolate(images, size=self.subject.resolution, mode="nearest")
        return images


def adapt(subject: Any, name: str = "") -> SubjectAdapter:
    """Return the adapter of any subject; only an instance of `zoo.GAN` is taken for a model of this library.

    Args:
        subject: a model of this library, or a subject as `as_subject` takes it.
        name: name in the report; empty for the name of the class.
    """
    return ZooModelAdapter(subject, name) if isinstance(subject, GAN) else as_subject(subject, name)
