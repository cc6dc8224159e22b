"""Precision and recall for distributions (Sajjadi et al. 2018, arXiv:1806.00035)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from zoo.metrics.accumulate import StoredFeatures, require_samples

ANGLES = np.linspace(1e-10, np.pi / 2 - 1e-10, 1001)
Curve = NDArray[np.float64]


def curve_of(real: Curve, fake: Curve) -> tuple[Curve, Curve]:
    """Compute precision and recall (1001,) at the slopes tan(`ANGLES`), see `PRD`.

    Args:
        real: histogram of real samples (K,) that sums to 1.
        fake: histogram of generated samples (K,) over the same bins, that sums to 1.
    """
    slopes = np.tan(ANGLES)
    precision = np.minimum(slopes[:, None] * real, fake).sum(1)
    return precision.clip(0, 1), (precision / slopes).clip(0, 1)


def f_score(precision: Curve, recall: Curve, beta: float) -> float:
    """Return the largest F_beta score along a curve; beta > 1 weights recall more than precision."""
    f = (1 + beta**2) * precision * recall / (beta**2 * precision + recall + 1e-10)
    return float(f.max())


class PRD(StoredFeatures):
    """Precision and recall for distributions (PRD), summarised by F8 (recall) and F1/8 (precision), both in [0, 1].

    The union of real and generated features is clustered by k-means. With p_k and q_k the shares of real and of
    generated samples in cluster k, at each slope s of 1001 in (0, infinity):

        precision(s) = sum_k min(s p_k, q_k)
        recall(s)    = sum_k min(p_k, q_k / s)
        F_beta       = max_s (1 + beta^2) precision recall / (beta^2 precision + recall)

    Both curves are means over several clusterings. As in the paper, there must be as many generated samples as real
    ones. After `compute`, the attribute `curve` holds precision and recall, (1001,) each. The numbers equal those of
    the formulas written out, to 1e-9.

    Args:
        clusters: number of clusters K.
        runs: number of clusterings.
        seed: seed of the first clustering; each further one adds 1.

    Example:
        Half of the modes are missing: what is generated is precise, and recall is low.

        >>> import torch
        >>> from zoo.metrics import PRD
        >>> metric = PRD(clusters=4, runs=1)
        >>> metric.update(torch.tensor([[0.0], [1.0], [2.0], [3.0]]).repeat(10, 1), real=True)
        >>> metric.update(torch.tensor([[0.0], [1.0], [0.0], [1.0]]).repeat(10, 1), real=False)
        >>> {name: round(value.item(), 2) for name, value in metric.compute().items()}
        {'f8': 0.5, 'f1/8': 0.98}
    """

    higher_is_better = True
    curve: tuple[Curve, Curve] | None = None

    def __init__(self, clusters: int = 20, runs: int = 10, seed: int = 0) -> None:
        super().__init__()
        if clusters < 2 or runs < 1:
            raise ValueError(f"clusters must be at least 2 and runs at least 1; got {clusters} and {runs}")
        self.clusters, self.runs, self.seed = clusters, runs, seed

    def compute(self) -> dict[str, Tensor]:
        """Return `f8` and `f1/8`."""
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
