"""How many known modes samples reach: rings and grids of Gaussians, stacked digits, any set of classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.metrics.accumulate import Counts, require_samples


def divergence(counts: Tensor, reference: Tensor) -> Tensor:
    """Kullback-Leibler divergence, in nats, of a histogram from another: infinite where only the first has samples."""
    p, q = counts.double() / counts.sum(), reference.double() / reference.sum()
    hit = p > 0
    return (p[hit] * (p[hit] / q[hit]).log()).sum()


class ModeCount(Counts):
    """Modes with at least one generated sample, and how unequally they are hit.

    Two uses. `ModeCount(modes=1000)` takes classes: whole numbers (B,), such as the three digits of a stacked image
    read as one number. `ModeCount(centres=..., deviation=...)` takes points (B, D) or (B, D, 1, 1): a point is of the
    nearest centre's mode if it lies within `reach` deviations of it ("high quality" in Lin et al. 2018,
    arXiv:1712.04086), and else of none. In the plane 1 - exp(-reach^2 / 2) of honest points do: 0.989 at 3.

    Results: `modes`; `kl`, the divergence of the samples' histogram over modes from the uniform one, empty modes adding
    nothing (0 is ideal, log(modes) worst; also called reverse KL); `kl_to_real` where real samples were given;
    for points `high_quality`, the share that is of any mode. Counts depend on the number of samples: 26,000 and 25,600
    are usual for stacked digits, 2,500 for rings and grids.

    Args:
        modes: number of classes.
        centres: (modes, D) of the Gaussians.
        deviation: of each coordinate.
        reach: how many deviations still belong to a mode; 3 in most papers, 4 in some.
    """

    higher_is_better = True

    def __init__(
        self,
        modes: int | None = None,
        *,
        centres: Tensor | Sequence[Sequence[float]] | None = None,
        deviation: float | None = None,
        reach: float = 3.0,
    ) -> None:
        if (modes is None) == (centres is None) or (centres is None) != (deviation is None):
            raise ValueError(
                "ModeCount takes modes=N for classes, or centres= and deviation= for points; got "
                f"modes={modes}, centres={'given' if centres is not None else None}, deviation={deviation}"
            )
        places = None if centres is None else torch.as_tensor(centres).double()
        super().__init__((modes or 0) if places is None else len(places))
        self.deviation, self.reach = deviation, reach
        self.register_buffer("centres", places)
        self.add_state("samples", default=torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")

    samples: Tensor
    centres: Tensor | None

    def update(self, features: Tensor, real: bool) -> None:
        """Add classes (B,), or points (B, D) or (B, D, 1, 1), of real or of generated samples."""
        self.samples[0 if real else 1] += len(features)
        if self.centres is None:
            return self.count(features, real)
        assert self.deviation is not None
        points = features.detach().to(self.device).flatten(1).double()
        if points.shape[1] != self.centres.shape[1]:
            raise ValueError(
                f"points must be (B, {self.centres.shape[1]}) as the centres are; got {tuple(features.shape)}"
            )
        distance, mode = torch.cdist(points, self.centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        return self.count(mode[distance < self.reach * self.deviation], real)

    def compute(self) -> dict[str, Tensor]:
        """Numbers about the generated samples."""
        real, fake = (int(n) for n in self.samples)
        require_samples(1, "mode count", fake)
        hit = int(self.fake_counts.sum())
        nothing = torch.tensor(torch.nan)  # no sample is of any mode: there is no histogram to compare
        values = {
            "modes": (self.fake_counts > 0).sum(),
            "kl": divergence(self.fake_counts, torch.ones_like(self.fake_counts)) if hit else nothing,
        }
        if real:
            values["kl_to_real"] = divergence(self.fake_counts, self.real_counts) if hit else nothing
        if self.centres is not None:
            values["high_quality"] = torch.tensor(hit / fake)
        return self.named(**values)
