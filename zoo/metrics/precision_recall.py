"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991)."""

from __future__ import annotations

from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import StoredFeatures
from zoo.metrics.neighbours import NeighbourStatistics, Rule, neighbour_statistics


def precision_and_recall(statistics: NeighbourStatistics) -> dict[str, Tensor]:
    """Share of generated samples in some real one's ball, and of real samples in some generated one's."""
    return {
        "precision": (statistics.real_around_fake > 0).double().mean(),
        "recall": (statistics.fake_around_real > 0).double().mean(),
    }


class PrecisionRecall(StoredFeatures):
    """Precision: generated samples that look real. Recall: real samples that could have been generated. Both 0 to 1.

    Each side's support is the union of balls around its samples that reach to the k-th nearest neighbour on that side.

    Args:
        k: neighbours, the sample itself left out; the paper's 3.
        strict: samples on a ball's rim are outside, as in the `prdc` package; the paper's code has them inside.
    """

    higher_is_better = True

    def __init__(self, k: int = 3, strict: bool = False) -> None:
        super().__init__()
        require_at_least(1, k=k)
        self.rule = Rule(k, strict)

    def compute(self) -> dict[str, Tensor]:
        """`precision` and `recall`."""
        (statistics,) = neighbour_statistics(*self.features(), [self.rule])
        return precision_and_recall(statistics)
