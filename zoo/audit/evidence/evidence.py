"""What all questions share: the images of three origins, their features, distances and scores, each made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from zoo.audit.evidence.budget import Budget
from zoo.audit.evidence.images import MIRRORED, ImageSet
from zoo.audit.evidence.subject import Questioned
from zoo.audit.statistics.distances import Nearest, nearest
from zoo.errors import UserError
from zoo.features import Extractor, Features, extractor, features_by_digest, features_of
from zoo.rendering.pictures import to_uint8

T = TypeVar("T")
PIXEL_SIZE = 32  # pixel distances are measured on images shrunk to at most this


@dataclass
class Evidence:
    """Everything the questions look at. A question asks for what it needs; what nobody asks for is never made.

    Args:
        subject: what is audited.
        train: the images it was trained on, or as many as the budget allows.
        held_out: images of the same origin that it never saw.
        budget: sizes.
        seed: of every random draw.
        extractor: of perceptual features.
        extras: settings of single questions, such as {"modes": ...}; the history of singular values of a run.
        report: is told what is being done, in a few words.
        keep: features of the real images in the cache, for the next audit.
    """

    subject: Questioned
    train: ImageSet
    held_out: ImageSet
    budget: Budget
    seed: int
    extractor: Extractor
    extras: dict[str, Any]
    report: Callable[[str], None] = lambda text: None
    keep: bool = False

    def __post_init__(self) -> None:
        self._made: dict[Any, Any] = {}
        self._pixels = extractor("pixels", size=min(PIXEL_SIZE, self.train.pixels.shape[-1]))

    # --- images ------------------------------------------------------------------------------------------------------

    @property
    def generated(self) -> ImageSet:
        """The shared sample: as many images as there are held out, within the budget; classes as in the held-out part.

        Raises:
            UserError: when the subject's images have another shape than the real ones.
        """
        return self.once("generated", self._generate)

    def _generate(self) -> ImageSet:
        n = min(self.budget.images, int(getattr(self.subject.subject, "available", self.budget.images)))
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
        images = self.subject.sample(n, self.seed, labels)
        if images.shape[1:] != self.train.pixels.shape[1:]:
            raise UserError(
                f"{self.subject.name} draws images {tuple(images.shape[1:])} (C, H, W), the real ones are "
                f"{tuple(self.train.pixels.shape[1:])}. Give real images at the generator's resolution and channels"
            )
        return ImageSet("generated", to_uint8(images), labels)

    @property
    def used(self) -> dict[str, int]:
        """How many images of each origin have been looked at."""
        drawn = {"generated": len(self.generated)} if "generated" in self._made else {}
        return {"train": len(self.train), "held_out": len(self.held_out)} | drawn

    def part(self, name: str) -> ImageSet:
        """`train`, `held_out` or `generated`, or one of them `mirrored `."""
        if name.startswith(MIRRORED):
            return self.once(name, self.part(name.removeprefix(MIRRORED)).mirrored)
        return {"train": self.train, "held_out": self.held_out}[name] if name != "generated" else self.generated

    # --- what is made of them ----------------------------------------------------------------------------------------

    def features(self, part: str, space: str = "features") -> Tensor:
        """Features (N, width) of a part, in the extractor's space or in that of shrunken `pixels`."""
        return self.extracted(part, space).values

    def extracted(self, part: str, space: str = "features") -> Features:
        """Features with the extractor's class logits, where it has any."""
        network = self._pixels if space == "pixels" else self.extractor

        def make() -> Features:
            self.report(f"{space} of {len(self.part(part)):,} {part.replace('_', '-')} images")
            images = self.part(part)
            batches = (images.images(slice(first, first + 1024)) for first in range(0, len(images), 1024))
            if self.keep and part != "generated" and network is self.extractor:
                return features_by_digest(network, lambda: batches, len(images), images.digest)
            return features_of(network, batches, title="")

        return self.once(("features", part, space), make)

    def nearest(self, queries: str, references: str, k: int = 1, space: str = "features") -> Nearest:
        """The k nearest images of one part for each of another.

        Where both are the same part, or one is the other mirrored, an image itself is left out.
        """

        def make() -> Nearest:
            self.report(
                f"nearest {references.replace('_', '-')} images of {queries.replace('_', '-')} ones, by {space}"
            )
            a, b = self.features(queries, space), self.features(references, space)
            return nearest(a, b, k, same=queries.removeprefix(MIRRORED) == references)

        return self.once(("nearest", queries, references, k, space), make)

    def scores(self, part: str) -> Tensor:
        """The discriminator's scores (N,) of a part.

        Raises:
            NotApplicable: without a discriminator.
        """

        def make() -> Tensor:
            self.report(f"scores of {part.replace('_', '-')} images")
            images = self.part(part)
            return self.subject.score(images.images(), images.labels)

        return self.once(("scores", part), make)

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives, made at the first call; questions may keep what others can use under keys of their own."""
        if key not in self._made:
            self._made[key] = make()
        found: T = self._made[key]
        return found

    def rng(self, name: str) -> torch.Generator:
        """A random generator of its own for each purpose, so that one question does not change another's draws."""
        return torch.Generator().manual_seed(self.seed_of(name))

    def seed_of(self, name: str) -> int:
        """A seed for a purpose."""
        return int.from_bytes(hashlib.blake2b(f"{self.seed} {name}".encode(), digest_size=6).digest(), "big")

    @property
    def space(self) -> str:
        """What features are called in reports."""
        return self.extractor.name
