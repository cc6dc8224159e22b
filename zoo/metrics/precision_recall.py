"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991)."""

from __future__ import annotations

from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.distance_pass import DistanceMetric, Found, Needs
from zoo.metrics.neighbours import NeighbourStatistics, Rule


def precision_and_recall(statistics: NeighbourStatistics) -> dict[str, Tensor]:
    """Compute improved precision and recall from neighbour statistics; see `PrecisionRecall`.

    Args:
        statistics: neighbour statistics of any rule.

    Example:
        >>> import torch
        >>> from zoo.metrics import Rule, neighbour_statistics, precision_and_recall
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> (statistics,) = neighbour_statistics(real, real[:2] + 0.25, [Rule(k=1, strict=False)])
        >>> {name: value.item() for name, value in precision_and_recall(statistics).items()}
        {'precision': 1.0, 'recall': 0.75}
    """
    return {
        "precision": (statistics.real_around_fake > 0).double().mean(),
        "recall": (statistics.fake_around_real > 0).double().mean(),
    }


class PrecisionRecall(DistanceMetric):
    """Improved precision and recall: fidelity and diversity of generated samples, both in [0, 1].

    The support of a set is the union of the balls around its samples that reach to each one's k-th nearest neighbour in
    the set (Kynkäänniemi et al. 2019, section 2, equations 1 and 2):

        precision = share of generated samples within the support of the real ones
        recall    = share of real samples within the support of the generated ones

    Both equal those of torch-fidelity 0.4.0, and with `strict` those of `prdc` 0.2, to 1e-12. Older versions of
    torch-fidelity return the two the other way round.

    Args:
        k: number of neighbours, the sample itself not counted; 3 in the paper.
        strict: exclude the boundary of the balls, as `prdc` does; the paper's code includes it.

    Example:
        >>> import torch
        >>> from zoo.metrics import PrecisionRecall
        >>> metric = PrecisionRecall(k=1)
        >>> metric.update(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), real=True)
        >>> metric.update(torch.tensor([[0.25], [1.25]]), real=False)
        >>> {name: value.item() for name, value in metric.compute().items()}
        {'precision': 1.0, 'recall': 0.75}
    """

    higher_is_better = True

    def __init__(self, k: int = 3, strict: bool = False) -> None:
        super().__init__()
        require_at_least(1, k=k)
        self.rule = Rule(k, strict)

    def needs(self, real: Tensor, fake: Tensor) -> Needs:
        """Ask for the statistics of one rule; see `DistanceMetric.needs`."""
        return Needs(rules=(self.rule,))

    def numbers(self, real: Tensor, fake: Tensor, found: Found) -> dict[str, Tensor]:
        """Return `precision` and `recall`; see `DistanceMetric.numbers`."""
        return precision_and_recall(found.statistics[self.rule])
