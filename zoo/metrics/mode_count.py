"""Number of known modes that samples reach: of rings and grids of Gaussians, stacked digits, or any set of classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.metrics.accumulate import Counts, require_samples


def divergence(counts: Tensor, reference: Tensor) -> Tensor:
    """Compute the Kullback-Leibler divergence KL(p || q) of two histograms, in nats.

    Args:
        counts: counts (K,) of p.
        reference: counts (K,) of q; the divergence is infinite if p has samples in a bin where q has none.
    """
    p, q = counts.double() / counts.sum(), reference.double() / reference.sum()
    hit = p > 0
    return (p[hit] * (p[hit] / q[hit]).log()).sum()


class ModeCount(Counts):
    """Number of modes with at least one generated sample, and how evenly the samples are spread over the modes.

    With p_k the share of generated samples of mode k, among K modes:

        modes        = number of k with p_k > 0
        kl           = KL(p || uniform) = sum_k p_k log(K p_k)    (0 is best, log K is worst; also called reverse KL)
        kl_to_real   = KL(p || shares of the real samples)        (if there are real samples)
        high_quality = share of points that belong to any mode    (for points)

    There are two kinds of input. `ModeCount(modes=1000)` takes classes (B,), such as the number formed by the three
    digits of a stacked image. `ModeCount(centres=..., deviation=...)` takes points (B, D) or (B, D, 1, 1): a point
    belongs to the mode of the nearest centre if it lies within `reach` standard deviations of it ("high quality" in Lin
    et al. 2018, arXiv:1712.04086), otherwise to none. In the plane, a share 1 - exp(-reach^2 / 2) of a Gaussian's own
    points does: 0.989 at 3.

    The numbers depend on the number of samples: 26,000 or 25,600 are usual for stacked digits, 2,500 for rings and
    grids.

    Args:
        modes: number of classes K.
        centres: centres of the Gaussians (K, D).
        deviation: standard deviation of each coordinate.
        reach: largest distance of a mode's points from its centre, in standard deviations; 3 in most papers, 4 in some.

    Example:
        >>> import torch
        >>> from zoo.metrics import ModeCount
        >>> metric = ModeCount(modes=4)
        >>> metric.update(torch.tensor([0, 0, 1, 1]), real=False)
        >>> {name: round(value.item(), 4) for name, value in metric.compute().items()}
        {'modes': 2.0, 'kl': 0.6931}
        >>> metric = ModeCount(centres=[[0.0, 0.0], [1.0, 0.0]], deviation=0.1)
        >>> metric.update(torch.tensor([[0.0, 0.1], [0.5, 0.0]]), real=False)
        >>> {name: round(value.item(), 4) for name, value in metric.compute().items()}
        {'modes': 1.0, 'kl': 0.6931, 'high_quality': 0.5}
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
        positions = None if centres is None else torch.as_tensor(centres).double()
        super().__init__((modes or 0) if positions is None else len(positions))
        self.deviation, self.reach = deviation, reach
        self.register_buffer("centres", positions)
        self.add_state("samples", default=torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")

    samples: Tensor
    centres: Tensor | None

    def update(self, features: Tensor, real: bool) -> None:
        """Add a batch of classes or points.

        Args:
            features: classes (B,), or points (B, D) or (B, D, 1, 1).
            real: whether they are of real samples or of generated ones.
        """
        self.samples[0 if real else 1] += len(features)
        if self.centres is None:
            return self.count(features, real)
        assert self.deviation is not None
        if not features.is_floating_point():
            raise ValueError(f"points must be floats; got {features.dtype}")
        points = features.detach().to(self.device).flatten(1).double()
        if points.shape[1] != self.centres.shape[1]:
            raise ValueError(
                f"points must be (B, {self.centres.shape[1]}) as the centres are; got {tuple(features.shape)}"
            )
        distance, mode = torch.cdist(points, self.centres, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        return self.count(mode[distance < self.reach * self.deviation], real)

    def compute(self) -> dict[str, Tensor]:
        """Return `modes`, `kl`, `kl_to_real` if there are real samples, and `high_quality` for points."""
        real, fake = (int(n) for n in self.samples)
        require_samples(1, "mode count", fake)
        hit = int(self.fake_counts.sum())
        undefined = torch.tensor(torch.nan)  # if no sample belongs to any mode, there is no histogram to compare
        values = {
            "modes": (self.fake_counts > 0).sum(),
            "kl": divergence(self.fake_counts, torch.ones_like(self.fake_counts)) if hit else undefined,
        }
        if real:
            values["kl_to_real"] = divergence(self.fake_counts, self.real_counts) if hit else undefined
        if self.centres is not None:
            values["high_quality"] = torch.tensor(hit / fake)
        return self.named(**values)
