"""Memorisation-informed Fréchet distance (MiFID; Bai et al. 2021, arXiv:2106.03062)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from zoo.metrics.accumulate import require_samples
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs
from zoo.metrics.frechet import frechet_distance_of_rows

NEGLIGIBLE = 1e-8  # a Fréchet distance that counts as 0, whatever the divisor
LEAST_DIVISOR = 1e-14


class MiFID(DistanceMetric):
    """Fréchet distance divided by how far generated samples are from real ones in angle. Lower is better.

        s     = mean_i min_j (1 - |cos(x_i, y_j)|)
        mifid = FID / s if s < threshold, otherwise FID

    x are real features, usually those of the training images, and y generated ones. A generator that copies has a small
    s and is punished by the division. The mean is over real samples, as in torchmetrics; the paper, and the code of its
    competition, average over generated ones (`over="generated"`), which also sees a generator that copies few images.
    The threshold decides whether anything happens at all: it depends on the features, and 0.1 is that of the
    competition (Kaggle, 2019) and of torchmetrics, for Inception. Features of length 0 have no angle and are left out
    of s. The number equals that of torchmetrics 1.9.0, to 1e-6.

    Args:
        threshold: largest s that divides the distance, in (0, 1].
        over: samples that s is the mean over, `real` or `generated`.

    Example:
        >>> import torch
        >>> from zoo.metrics import MiFID
        >>> metric = MiFID()
        >>> metric.update(torch.tensor([[1.0, 0.0], [2.0, 0.0]]), real=True)
        >>> metric.update(torch.tensor([[0.0, 1.0], [0.0, 2.0]]), real=False)  # at right angles
        >>> {name: round(value.item(), 4) for name, value in metric.compute().items()}
        {'mifid': 5.5, 'memorisation_distance': 1.0}
    """

    higher_is_better = False

    def __init__(self, threshold: float = 0.1, over: Literal["real", "generated"] = "real") -> None:
        super().__init__()
        if over not in ("real", "generated"):
            raise ValueError(f"over must be real or generated; got {over!r}")
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1; got {threshold}")
        self.threshold, self.over = threshold, over

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the most similar directions; see `DistanceMetric.needs`."""
        require_samples(2, "MiFID", len(real), len(fake))
        for side, features in (("real", real), ("generated", fake)):
            if not features.any():
                raise ValueError(f"MiFID: the features of all {side} samples are 0, and have no direction")
        return Needs(directions=True)

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `mifid`, and `memorisation_distance`, the s of the formula; see `DistanceMetric.numbers`."""
        assert found.cosines is not None
        cosines = found.cosines[0 if self.over == "real" else 1]
        distance = (1 - cosines[~cosines.isnan()]).clamp(min=0).mean()
        divisor = torch.where(distance < self.threshold, distance + LEAST_DIVISOR, 1.0)
        fid = frechet_distance_of_rows(real, fake)
        return self.named(
            mifid=fid / divisor if fid > NEGLIGIBLE else torch.zeros_like(fid), memorisation_distance=distance
        )
