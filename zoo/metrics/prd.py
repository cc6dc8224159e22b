"""Precision and recall for distributions (Sajjadi et al. 2018, arXiv:1806.00035)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, require_samples

ANGLES = np.linspace(1e-10, np.pi / 2 - 1e-10, 1001)
Curve = NDArray[np.float64]


def curve_of(real: Curve, fake: Curve) -> tuple[Curve, Curve]:
    """Precision and recall (1001,) at all slopes, from two histograms over the same bins that each sum to 1."""
    slopes = np.tan(ANGLES)
    precision = np.minimum(slopes[:, None] * real, fake).sum(1)
    return precision.clip(0, 1), (precision / slopes).clip(0, 1)


def f_score(precision: Curve, recall: Curve, beta: float) -> float:
    """The largest F along a curve; beta above 1 weighs recall."""
    f = (1 + beta**2) * precision * recall / (beta**2 * precision + recall + 1e-10)
    return float(f.max())


class PRD(StoredFeatures):
    """Two numbers from the curve of precision against recall: `f8` weighs recall, `f1/8` precision; both 0 to 1.

    Features of both sides are clustered together; the curve follows from how the clusters' shares differ, and is the
    mean over clusterings. Needs as many generated samples as real ones, as the paper does. After `compute`, `curve` is
    precision and recall, (1001,) each.

    Args:
        clusters: bins of the histograms.
        runs: clusterings.
        seed: of the first clustering; the next ones count up.
    """

    higher_is_better = True
    curve: tuple[Curve, Curve] | None = None

    def __init__(self, clusters: int = 20, runs: int = 10, seed: int = 0) -> None:
        super().__init__()
        if clusters < 2 or runs < 1:
            raise ValueError(f"clusters must be at least 2 and runs at least 1; got {clusters} and {runs}")
        self.clusters, self.runs, self.seed = clusters, runs, seed

    def compute(self) -> dict[str, Tensor]:
        """`f8` and `f1/8`."""
        from sklearn.cluster import MiniBatchKMeans

        real, fake = (side.cpu().double().numpy() for side in self.features())  # k-means is slower in float32
        require_samples(self.clusters, f"PRD with {self.clusters} clusters", len(real), len(fake))
        if len(real) != len(fake):
            raise ValueError(
                f"PRD needs as many real as generated samples; got {len(real):,} and {len(fake):,}. Take the first "
                f"{min(len(real), len(fake)):,} of both"
            )
        joined = np.concatenate([fake, real])
        curves = []
        for run in range(self.runs):
            means = MiniBatchKMeans(n_clusters=self.clusters, n_init=10, random_state=self.seed + run)
            labels = means.fit(joined).labels_
            q, p = (np.bincount(side, minlength=self.clusters) / len(real) for side in np.split(labels, 2))
            curves.append(curve_of(p, q))
        precision, recall = np.mean([c[0] for c in curves], axis=0), np.mean([c[1] for c in curves], axis=0)
        self.curve = precision, recall
        return self.named(f8=f_score(precision, recall, 8)) | self.named(**{"f1/8": f_score(precision, recall, 1 / 8)})
