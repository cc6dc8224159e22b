"""Differentiable augmentation, which keeps a discriminator from memorising a small training set.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738, equations 4 and 5:
every image that a loss sees, real or generated, is augmented at random, and the generator's gradient passes through the
augmentation. If only real images were augmented, the generator would learn to draw augmented images. The strengths of
`color`, `translation` and `cutout` are the authors'.

`pipeline` and `adaptive` stand for the transformations of Karras et al. 2020, `zoo.training.augmentation_pipeline`,
each applied with a probability p: a fixed or scheduled one, or one that adapts itself, see `zoo.training.adaptive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo.errors import UserError, did_you_mean, require_at_least
from zoo.training.adaptive import WITHOUT_SCORES, AdaptiveStrength, Reduce
from zoo.training.augmentation_pipeline import FACTORS, pipeline
from zoo.training.batch import Batch
from zoo.training.objectives import Objective
from zoo.training.terms import RunningTerms

SHIFT = 0.125
"""Largest shift of `translation`, as a fraction of the image size."""
HOLE = 0.5
"""Side of the square that `cutout` hides, as a fraction of the image size."""


def color(images: Tensor) -> Tensor:
    """Shift brightness by -0.5 to 0.5, then scale saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    images = images + _uniform(images) - 0.5
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * _uniform(images))
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, 0.5 + _uniform(images))


def translation(images: Tensor, uncovered: str = "constant") -> Tensor:
    """Shift each image by up to an eighth of its size each way, in whole pixels.

    Args:
        images: images (B, C, H, H).
        uncovered: what pixels show that the image no longer covers, a `mode` of `torch.nn.functional.pad`: 0, as the
            authors have it, or with `reflect` the image mirrored at its edge.
    """
    size = images.shape[-1]
    largest = int(size * SHIFT + 0.5)
    corner = torch.randint(0, 2 * largest + 1, (2, len(images), 1), device=images.device)
    rows, columns = corner + torch.arange(size, device=images.device)
    image = torch.arange(len(images), device=images.device)[:, None, None]
    # Channels last, so that one index picks all channels of a pixel.
    padded = pad(images, (largest,) * 4, mode=uncovered).permute(0, 2, 3, 1)
    moved: Tensor = padded[image, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def cutout(images: Tensor) -> Tensor:
    """Set a square of half the size to 0; its centre lies anywhere, so part of the square may lie outside."""
    size = images.shape[-1]
    hole = int(size * HOLE + 0.5)
    corner = torch.randint(0, size + 1 - hole % 2, (2, len(images), 1), device=images.device) - hole // 2
    position = torch.arange(size, device=images.device)
    rows, columns = (position >= corner) & (position < corner + hole)
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {"color": color, "translation": translation, "cutout": cutout}
PIPELINES = ("adaptive", "pipeline")
"""Names that stand for the whole pipeline and therefore stand alone."""


def check_kinds(kinds: str | Sequence[str]) -> tuple[str, ...]:
    """Check the names of augmentations, or a text of names with commas between them, and return them as a tuple.

    Raises:
        ValueError: for an unknown name, or one beside `adaptive` or `pipeline`.
    """
    kinds = tuple(name for name in kinds.replace(",", " ").split()) if isinstance(kinds, str) else tuple(kinds)
    names = (*KINDS, *PIPELINES)
    for kind in kinds:
        if kind not in names:
            hint = did_you_mean(kind, names, lists=False)
            raise ValueError(f"augment takes {', '.join(names)}, or nothing; got {kind!r}.{hint}")
        if kind in PIPELINES and len(kinds) > 1:
            raise ValueError(
                f"augment={kind} has colour and shifts of its own and stands alone; got {', '.join(kinds)}. For cutout "
                "beside it give augment_factors={cutout: 1}"
            )
    return kinds


def check_factors(factors: Mapping[str, float] | None) -> dict[str, float]:
    """Return the factor of p for each transformation of the pipeline.

    Raises:
        ValueError: for an unknown name or a negative factor.
    """
    for name, factor in (factors or {}).items():
        if name not in FACTORS:
            hint = did_you_mean(str(name), FACTORS, lists=False)
            raise ValueError(f"augment_factors takes {', '.join(FACTORS)}; got {name!r}.{hint}")
        require_at_least(0, **{f"augment_factors.{name}": factor})
    return {**FACTORS, **(factors or {})}


def augmented(
    batch: Batch, kinds: Sequence[str], strength: float = 0.0, factors: Mapping[str, float] = FACTORS
) -> Batch:
    """Return the batch with every image augmented independently, drawn from torch's random state.

    Args:
        batch: images (B, C, H, H).
        kinds: names of augmentations, as `check_kinds` returns them.
        strength: probability p of each transformation of `adaptive` and `pipeline`.
        factors: factor of p for each of these.
    """
    images = batch.images
    for kind in kinds:
        images = pipeline(images, strength, factors) if kind in PIPELINES else KINDS[kind](images)
    return batch if images is batch.images else Batch(images, batch.labels, batch.latents)


@dataclass
class Augmentation:
    """What a model does with the images that its losses see, and how strongly at the moment.

    Args:
        kinds: names of augmentations.
        given: probability p of each transformation of `pipeline`; that of `adaptive` begins with 0.
        given_factors: factor of p for each transformation, where it is not that of `FACTORS`.
        target: value of r_t that `adaptive` steers to.
        speed: images over which `adaptive` can move p from 0 to 1.

    Raises:
        ValueError: for an unknown name, or a number out of range.
    """

    kinds: str | Sequence[str]
    given: float
    given_factors: Mapping[str, float] | None
    target: float
    speed: int
    adaptive: AdaptiveStrength | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        self.names = check_kinds(self.kinds)
        self.factors = check_factors(self.given_factors)
        self.given = checked_strength(self.given)
        adaptive = AdaptiveStrength(self.target, self.speed)
        self.adaptive = adaptive if "adaptive" in self.names else None

    @property
    def strength(self) -> float:
        """Probability p of each transformation of `adaptive` and `pipeline`."""
        return self.given if self.adaptive is None else self.adaptive.strength

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with every image augmented independently."""
        return augmented(batch, self.names, self.strength, self.factors)

    @contextmanager
    def watching(self, objective: Objective | None, discriminator: bool) -> Iterator[None]:
        """Note the scores of real images in a block, if the move in it is the discriminator's and p adapts to them.

        Raises:
            UserError: when there is no objective to take them from.
        """
        if self.adaptive is None or not discriminator:
            yield
        elif objective is None:
            raise UserError(WITHOUT_SCORES)
        else:
            with self.adaptive.listening(objective):
                yield

    def end_round(self, running: RunningTerms, images: int, reduce: Reduce, device: torch.device) -> None:
        """Move p if it adapts, and add p and r_t to the terms that are logged.

        Args:
            running: terms since the last log.
            images: images shown in the round, in all processes.
            reduce: the function that reduces a tensor over processes.
            device: device of the terms.
        """
        if not any(name in PIPELINES for name in self.names):
            return
        running.add("augment/p", torch.full((), self.strength, device=device), 1.0)
        r_t = None if self.adaptive is None else self.adaptive.end_round(images, reduce)
        if r_t is not None:
            running.add("augment/r_t", r_t, 1.0)


class Augmented:
    """The part of `zoo.GAN` that augments images."""

    augmentation: Augmentation
    global_rank: Any

    @property
    def augment(self) -> tuple[str, ...]:
        """Names of the augmentations of all images that a loss sees."""
        return self.augmentation.names

    @augment.setter
    def augment(self, kinds: str | Sequence[str]) -> None:
        self.augmentation.kinds = kinds
        self.augmentation.__post_init__()

    @property
    def augment_strength(self) -> float:
        """Probability p of each transformation of `pipeline` or `adaptive`.

        A schedule of a subclass sets it in `before_round`; `adaptive` takes no notice of what is set.
        """
        return self.augmentation.strength

    @augment_strength.setter
    def augment_strength(self, strength: float) -> None:
        self.augmentation.given = checked_strength(strength)

    def load_strength(self, record: Mapping[str, Any]) -> None:
        """Set an adaptive strength to that of a checkpoint's record, or to 0 for a record without one."""
        if self.augmentation.adaptive is not None:
            self.augmentation.adaptive.load(record.get("adaptive", {}), first=self.global_rank == 0)


def checked_strength(strength: float) -> float:
    """Return a probability.

    Raises:
        ValueError: when it is none.
    """
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise ValueError(f"augment_strength is a probability, from 0 to 1; got {strength}")
    return float(strength)


def _uniform(images: Tensor) -> Tensor:
    """Draw one number in [0, 1) for each image, (B, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
