"""Generated images that are given as a folder or a tensor, as the subject of an audit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.reading import read_image_set
from zoo.audit.evidence.subject import SubjectAdapter


class GivenImages:
    """A set of generated images as a subject: each image is drawn at most once.

    Args:
        images: the images; their labels are the classes that they were generated for, if these are known.
    """

    def __init__(self, images: ImageSet) -> None:
        self.images = images

    @property
    def available(self) -> int:
        """The number of images."""
        return len(self.images)

    def chosen(self, n: int, seed: int) -> ImageSet:
        """Return n images in an order that depends on the seed."""
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(seed))
        return self.images.take(order[:n])

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Return the images of `chosen`, (n, C, H, W) in [-1, 1]."""
        return self.chosen(n, seed).images()


class GivenAdapter(SubjectAdapter):
    """The adapter of given images: those that are drawn stay where they are kept, and have their classes.

    Args:
        subject: the images.
        name: name of the set in the report.
    """

    subject: GivenImages

    def __init__(self, subject: GivenImages, name: str) -> None:
        super().__init__(subject, name)

    def sample_set(self, n: int, seed: int, labels: Tensor | None = None) -> ImageSet:
        """Choose n images; `labels` are not used."""
        return self.subject.chosen(n, seed)


def as_subject(subject: Any, name: str = "") -> SubjectAdapter:
    """Return the adapter of a subject that is not a model of this library.

    Args:
        subject: anything with `sample(n)`, or given images: a set, or a tensor as `zoo.audit.audit` takes real ones.
        name: name in the report; empty for the name of the class.
    """
    if isinstance(subject, SubjectAdapter):
        return subject
    if isinstance(subject, Tensor | ImageSet):
        return GivenAdapter(GivenImages(read_image_set(subject, "generated")), name or "images")
    return SubjectAdapter(subject, name)
