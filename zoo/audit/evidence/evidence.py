"""The evidence that all questions share: images of three origins, their features, distances and scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from zoo.audit.evidence.budget import Budget
from zoo.audit.evidence.images import MIRRORED, ImageSet
from zoo.audit.evidence.subject import SubjectAdapter
from zoo.audit.statistics.distances import Nearest, nearest
from zoo.data.pool import to_float
from zoo.errors import UserError
from zoo.evaluation.labels import check_class_names
from zoo.features import Extractor, Features, extractor, features_by_digest, features_of
from zoo.features.cache import batch_of

T = TypeVar("T")
PIXEL_SIZE = 32  # largest height and width, in pixels, at which pixel distances are measured
MIDDLE, COMPARED = 127, 100
"""Middle of the values that images are stored with, and the images of each side whose values are compared."""


@dataclass
class Evidence:
    """The evidence of one audit. Everything is computed when a question first needs it, and then kept.

    Args:
        subject: the audited subject.
        train: training images, at most as many as the budget allows.
        held_out: images of the same origin that were not used in training.
        budget: sizes of the audit.
        seed: seed of every random draw.
        extractor: extractor of perceptual features.
        extras: settings of single questions, such as {"modes": ...}, and the history of singular values of a run.
        report: function that is called with a short description of each longer step.
        keep: whether features of the real images are stored in the cache, for the next audit.
    """

    subject: SubjectAdapter
    train: ImageSet
    held_out: ImageSet
    budget: Budget
    seed: int
    extractor: Extractor
    extras: dict[str, Any]
    report: Callable[[str], None] = lambda text: None
    keep: bool = False

    def __post_init__(self) -> None:
        """Check the classes of a conditional subject.

        Raises:
            UserError: if their numbers stand for other classes than those of the real images.
        """
        if self.subject.num_classes:
            real = self.train.class_names or self.held_out.class_names
            check_class_names(self.subject.class_names, real, self.subject.num_classes)
        self._cache: dict[Any, Any] = {}
        self._pixels = extractor("pixels", size=min(PIXEL_SIZE, self.train.shape[-1]))

    # --- images ------------------------------------------------------------------------------------------------------

    @property
    def generated(self) -> ImageSet:
        """The sample that all questions share. Its classes are distributed as those of the held-out images.

        Raises:
            UserError: when the subject's images have another shape than the real ones.
        """
        return self.once("generated", self._generate)

    def _generate(self) -> ImageSet:
        """Draw the sample that all questions share."""
        available = self.subject.available
        n = self.budget.images if available is None else min(self.budget.images, available)
        self.report(f"drawing {n:,} images")
        labels = None
        if self.subject.num_classes:
            known = self.held_out.labels if self.held_out.labels is not None else self.train.labels
            draw = self.rng("labels")
            labels = (
                torch.randint(self.subject.num_classes, (n,), generator=draw)
                if known is None
                else known[torch.randint(len(known), (n,), generator=draw)]
            )
        drawn = self.subject.sample_set(n, self.seed, labels)
        if drawn.shape != self.train.shape:
            raise UserError(
                f"{self.subject.name} draws images {tuple(drawn.shape)} (C, H, W), the real ones are "
                f"{tuple(self.train.shape)}. Give real images at the generator's resolution and channels"
            )
        darkest, real = (int(images.stored[:COMPARED].min()) for images in (drawn, self.train))
        if darkest >= MIDDLE > real + MIDDLE // 2:
            raise UserError(
                f"{self.subject.name}: no value of {min(len(drawn), COMPARED)} generated images lies in the lower half "
                "of the range, where real ones have values: they look like images in [0, 1]. The range is [-1, 1]: "
                "multiply by 2 and subtract 1"
            )
        return drawn

    @property
    def used(self) -> dict[str, int]:
        """The number of images of each origin that the audit has used."""
        drawn = {"generated": len(self.generated)} if "generated" in self._cache else {}
        return {"train": len(self.train), "held_out": len(self.held_out)} | drawn

    def part(self, name: str) -> ImageSet:
        """Return an image set by its name: `train`, `held_out` or `generated`, or one of them mirrored."""
        if name.startswith(MIRRORED):
            return self.once(name, self.part(name.removeprefix(MIRRORED)).mirrored)
        return {"train": self.train, "held_out": self.held_out}[name] if name != "generated" else self.generated

    # --- features, distances, scores ---------------------------------------------------------------------------------

    def features(self, part: str, space: str = "features") -> Tensor:
        """Compute features (N, width) of an image set.

        Args:
            part: name of the image set.
            space: `features` of the extractor, or `pixels` of the shrunken images.
        """
        return self.extracted(part, space).values

    def extracted(self, part: str, space: str = "features") -> Features:
        """Compute features with the extractor's class logits, if it has any; the arguments are those of `features`."""
        network = self._pixels if space == "pixels" else self.extractor

        def make() -> Features:
            text = f"{space} of {len(self.part(part)):,} {part.replace('_', '-')} images"
            self.report(text)
            images = self.part(part)
            at_once = batch_of(network, images.shape.numel())
            batches = (to_float(rows) for rows in images.parts(at_once, at_once * images.shape.numel()))
            if self.keep and part != "generated" and network is self.extractor:
                return features_by_digest(network, lambda: batches, len(images), images.digest)
            return features_of(network, batches, total=len(images), title=text)

        return self.once(("features", part, space), make)

    def nearest(self, queries: str, references: str, k: int = 1, space: str = "features") -> Nearest:
        """Find the k nearest images of one image set for each image of another.

        If both are the same image set, or one is the other mirrored, an image is no neighbour of itself.

        Args:
            queries: name of the image set whose neighbours are found.
            references: name of the image set among which they are found.
            k: number of neighbours.
            space: `features` of the extractor, or `pixels` of the shrunken images.
        """

        def make() -> Nearest:
            self.report(
                f"nearest {references.replace('_', '-')} images of {queries.replace('_', '-')} ones, by {space}"
            )
            a, b = self.features(queries, space), self.features(references, space)
            return nearest(a, b, k, same=queries.removeprefix(MIRRORED) == references)

        return self.once(("nearest", queries, references, k, space), make)

    def scores(self, part: str) -> Tensor:
        """Compute the discriminator's scores (N,) of an image set.

        Raises:
            NotApplicable: when the subject has no discriminator.
        """

        def make() -> Tensor:
            self.report(f"scores of {part.replace('_', '-')} images")
            images = self.part(part)
            done, scores = 0, []
            for rows in images.parts():
                known = None if images.labels is None else images.labels[done : done + len(rows)]
                scores.append(self.subject.score(to_float(rows), known))
                done += len(rows)
            return torch.cat(scores)

        return self.once(("scores", part), make)

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Return the value for a key, computing it once.

        Args:
            key: any hashable value; a question that shares a value with others has a key of its own for it.
            make: function that computes the value.
        """
        if key not in self._cache:
            self._cache[key] = make()
        value: T = self._cache[key]
        return value

    def rng(self, name: str) -> torch.Generator:
        """Return a random generator for one purpose, so that no question changes the draws of another."""
        return torch.Generator().manual_seed(self.seed_of(name))

    def seed_of(self, name: str) -> int:
        """Return the seed for one purpose."""
        return int.from_bytes(hashlib.blake2b(f"{self.seed} {name}".encode(), digest_size=6).digest(), "big")

    @property
    def space(self) -> str:
        """The name of the feature space in reports."""
        return self.extractor.name
