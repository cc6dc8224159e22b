"""Data-copying test C_T (Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.neighbours import nearest_distances
from zoo.metrics.training_features import ThreeSets

FEW = 20  # generated samples in a cell up to which it is left out, as in the authors' code


class CellScore(NamedTuple):
    """The score of one cell.

    Args:
        z: z-score of closeness to the training samples of the cell.
        held_out: number of held-out samples in the cell, its weight.
    """

    z: float
    held_out: int


def closeness_score(generated: Tensor, held_out: Tensor) -> float:
    """Compute the z-score of the Mann-Whitney U of distances to the nearest training sample, without ties.

        U = #{(i, j): generated_i > held_out_j},    z = (U - (n m / 2 - 1/2)) / sqrt(n m (n + m + 1) / 12)

    Args:
        generated: distances (M,) of generated samples.
        held_out: distances (N,) of held-out samples.

    Returns:
        The score: below 0 if generated samples are closer.
    """
    from scipy.stats import mannwhitneyu

    n, m = len(held_out), len(generated)
    u = float(mannwhitneyu(generated.cpu().numpy(), held_out.cpu().numpy(), alternative="less").statistic)
    return (u - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12)


def cell_scores(sides: Sequence[Tensor], labels: Sequence[Tensor], few: int = FEW) -> list[CellScore]:
    """Compute the scores of the cells that have more than `few` generated samples, and any of the others.

    Args:
        sides: features (N, D) of training, (M, D) of held-out and (K, D) of generated samples.
        labels: the cell of each sample, (N,), (M,) and (K,).
        few: number of generated samples up to which a cell is left out.
    """
    scores = []
    for cell in torch.unique(labels[0]).tolist():
        known, new, made = (side[own == cell] for side, own in zip(sides, labels))
        if len(made) > few and len(new):
            z = closeness_score(nearest_distances(made, known), nearest_distances(new, known))
            scores.append(CellScore(z, len(new)))
    return scores


def principal_components(features: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return mean (D,) and the first principal components (D, width) of features (N, D), in float64."""
    rows = features.double()
    mean = rows.mean(0)
    rows = rows - mean
    return mean, torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -width:]


class DataCopying(ThreeSets):
    """Statistic C_T of the data-copying test: are generated samples closer to the training set than held-out ones?

    The training samples are split into cells by k-means. Within each cell, the distances of generated and of held-out
    samples to the nearest training sample of the cell are compared by the Mann-Whitney z-score:

        ct = sum_c P_c z_c / sum_c P_c    over cells with more than `few` generated samples

    where P_c is the share of held-out samples in cell c. If generated and held-out samples are distributed alike, z is
    about normal with deviation 1. Far below 0 means copying, far above 0 underfitting, and 0 is best. It is an average
    tendency: a few copies hardly change it, and copies can be hidden by bad samples elsewhere. It grows with the number
    of samples. As in layer6ai-labs/dgm-eval (`compute_CTscore`) and marcojira/fld, features are first projected on the
    64 principal components of the training samples; with the same cells the numbers are equal to 1e-6.

    Args:
        cells: number of cells.
        components: number of principal components; features of at most this width stay as they are.
        few: number of generated samples in a cell up to which it is left out.
        seed: seed of k-means.

    Example:
        >>> import torch
        >>> from zoo.metrics import DataCopying
        >>> train, held_out = torch.randn(2, 300, 2, generator=torch.Generator().manual_seed(0))
        >>> metric = DataCopying()
        >>> metric.update(train, real=True, train=True)
        >>> metric.update(held_out, real=True)
        >>> metric.update(train + 0.001, real=False)
        >>> metric.compute()["ct"] < -10
        tensor(True)
    """

    higher_is_better = True

    def __init__(self, cells: int = 3, components: int = 64, few: int = FEW, seed: int = 0) -> None:
        super().__init__()
        require_at_least(1, cells=cells, components=components)
        require_at_least(0, few=few)
        self.cells, self.components, self.few, self.seed = cells, components, few, seed

    def compute(self) -> dict[str, Tensor]:
        """Return `ct`."""
        from sklearn.cluster import KMeans

        train, held_out, generated = self.three_sets(self.cells)
        sides = [train, held_out, generated]
        if train.shape[1] > self.components:
            mean, components = principal_components(train, self.components)
            sides = [(side.double() - mean) @ components for side in sides]
        arrays = [side.cpu().numpy().astype(np.float64) for side in sides]
        means = KMeans(self.cells, n_init=10, random_state=self.seed).fit(arrays[0])
        cells = [torch.from_numpy(means.predict(array)).to(train.device) for array in arrays]
        for cell in range(self.cells):
            known, new = (int((labels == cell).sum()) for labels in cells[:2])
            if not known or not new:
                raise ValueError(
                    f"C_T: cell {cell} of {self.cells} has {known} training and {new} held-out samples, and "
                    "needs both. Take fewer cells, or more held-out samples"
                )
        scores = cell_scores(sides, cells, self.few)
        if not scores:
            raise ValueError(
                f"C_T: no cell has more than {self.few} generated samples; got {len(generated):,} in {self.cells} "
                "cells. Generate more"
            )
        return self.named(
            ct=sum(score.held_out * score.z for score in scores) / sum(score.held_out for score in scores)
        )
