"""The one clock: everything scheduled is a pure function of images seen.

`images_seen` counts the real images shown to the discriminator since the start of a run, over all devices. Nothing that
can be computed from it is stored, which is why a resumed run continues exactly where the killed one stopped.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

ScheduleKind = Literal["constant", "linear", "cosine"]


def seed(purpose: str, *parts: int) -> int:
    """A 32-bit seed that depends on every part and on their order, such as ("round", run seed, rank, images seen).

    Neighbouring inputs give unrelated seeds, and so do two purposes: mirroring must tell nothing about the latents.
    32 bits because torch's CPU generator uses no more.
    """
    digest = hashlib.blake2b(repr((purpose, *parts)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def digest_of(*parts: object) -> str:
    """Hex digest (32 characters) of the parts' representations: one key for one combination of plain values."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def crossed(before: int, now: int, every: int) -> bool:
    """Whether a multiple of `every` lies in (before, now].

    Asks for crossing rather than equality: batches seldom add up to a round number, and their size may change.
    """
    return now // every > before // every


def retention(images: float, halflife: float) -> float:
    """How much of an average with this half-life (in images) is left after `images`; 0 for a half-life of 0."""
    return 0.5 ** (images / halflife) if halflife > 0 else 0.0


@dataclass(frozen=True)
class Schedule:
    """A factor on the learning rate as a function of images seen.

    Args:
        kind: `constant` stays at 1; `linear` and `cosine` fall to 0 at `horizon` and stay there.
        horizon: where the fall ends, in images; needed unless constant.
        warmup: the factor also rises linearly from 0 over the first `warmup` images.
    """

    kind: ScheduleKind = "constant"
    horizon: int = 0
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("constant", "linear", "cosine"):
            raise ValueError(f"lr_schedule is 'constant', 'linear' or 'cosine'; got {self.kind!r}")
        if self.kind != "constant" and self.horizon <= 0:
            raise ValueError(
                f"lr_schedule={self.kind!r} needs lr_horizon, the number of images at which the rate reaches 0; got "
                f"{self.horizon}. In a recipe write lr_horizon: ${{images}} to fall over the whole run"
            )

    def at(self, images_seen: int) -> float:
        """The factor, in [0, 1]."""
        factor = 1.0
        if self.kind != "constant":
            progress = min(images_seen / self.horizon, 1.0)
            factor = 1.0 - progress if self.kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
        if images_seen < self.warmup:
            factor *= images_seen / self.warmup
        return factor
