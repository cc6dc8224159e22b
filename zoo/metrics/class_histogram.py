"""Comparison of the class frequencies of real and generated samples."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import Counts, require_samples


def chi_square_p(real: Tensor, fake: Tensor) -> Tensor:
    """Compute the p-value of Pearson's chi-square test that two histograms come from one distribution.

    Bins without samples on either side are left out. The approximation is good from about 5 expected samples per bin.

    Args:
        real: counts (K,) of real samples.
        fake: counts (K,) of generated samples.

    Returns:
        The p-value, a scalar; 1 if all samples are in one bin.
    """
    table = torch.stack([real, fake]).double()
    table = table[:, table.sum(0) > 0]
    expected = table.sum(1, keepdim=True) * table.sum(0) / table.sum()
    statistic = ((table - expected).square() / expected).sum()
    freedom = table.shape[1] - 1
    if not freedom:
        return torch.ones_like(statistic)
    p: Tensor = torch.special.gammaincc(torch.full_like(statistic, freedom / 2), statistic / 2)
    return p


class ClassHistogram(Counts):
    """Distance between the class frequencies of real and of generated samples.

    With shares p_k and q_k of class k among real and generated samples:

        class_distance  = 1/2 sum_k |p_k - q_k|                      (total variation)
        class_p         = p-value of the chi-square test of p = q
        classes_missing = number of classes with p_k > 0 and q_k = 0

    `class_distance` is 0 for equal shares and 1 for disjoint ones. Chance alone makes it positive; `class_p` tells
    whether it exceeds chance, and equals that of `scipy.stats.chi2_contingency`.

    Args:
        num_classes: number of classes K of the classifier.

    Example:
        >>> import torch
        >>> from zoo.metrics import ClassHistogram
        >>> metric = ClassHistogram(num_classes=3)
        >>> metric.update(torch.tensor([0, 0, 1, 2]), real=True)
        >>> metric.update(torch.tensor([0, 0, 0, 1]), real=False)
        >>> {name: round(value.item(), 4) for name, value in metric.compute().items()}
        {'class_distance': 0.25, 'class_p': 0.5488, 'classes_missing': 1.0}
    """

    higher_is_better = False

    def __init__(self, num_classes: int) -> None:
        require_at_least(2, num_classes=num_classes)
        super().__init__(num_classes)

    def update(self, features: Tensor, real: bool) -> None:
        """Add a batch of classes.

        Args:
            features: classes (B,) as integers, or a classifier's logits (B, K), of which the largest counts.
            real: whether they are of real samples or of generated ones.
        """
        if features.dim() == 2:
            if features.shape[1] != self.bins:
                raise ValueError(f"logits must be (B, {self.bins}); got {tuple(features.shape)}")
            features = features.argmax(1)
        self.count(features, real)

    def compute(self) -> dict[str, Tensor]:
        """Return `class_distance`, `class_p` and `classes_missing`."""
        real, fake = self.real_counts, self.fake_counts
        require_samples(1, "class histogram", int(real.sum()), int(fake.sum()))
        return self.named(
            class_distance=(real / real.sum() - fake / fake.sum()).abs().sum() / 2,
            class_p=chi_square_p(real, fake),
            classes_missing=((real > 0) & (fake == 0)).sum(),
        )
