"""Whether generated samples have the classes of real ones, in the same shares."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import Counts, require_samples


def chi_square_p(real: Tensor, fake: Tensor) -> Tensor:
    """p-value of Pearson's chi-square test that two histograms come from one distribution.

    Bins that neither side hits are left out. The approximation wants about 5 expected hits in each bin.
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
    """Distance between the class frequencies of real and generated samples, as a classifier sees them.

    Results: `class_distance`, the total variation (half the sum of absolute differences: 0 for equal shares, 1 for none
    in common; above 0 by chance alone, which is what the p-value is for); `class_p`, the chi-square p-value of "the
    same shares"; `classes_missing`, classes that real samples have and generated ones lack.

    Args:
        num_classes: of the classifier.
    """

    higher_is_better = False

    def __init__(self, num_classes: int) -> None:
        require_at_least(2, num_classes=num_classes)
        super().__init__(num_classes)

    def update(self, features: Tensor, real: bool) -> None:
        """Add classes (B,) as whole numbers, or a classifier's logits (B, num_classes)."""
        if features.dim() == 2:
            if features.shape[1] != self.bins:
                raise ValueError(f"logits must be (B, {self.bins}); got {tuple(features.shape)}")
            features = features.argmax(1)
        self.count(features, real)

    def compute(self) -> dict[str, Tensor]:
        """Distance, p-value and missing classes."""
        real, fake = self.real_counts, self.fake_counts
        require_samples(1, "class histogram", int(real.sum()), int(fake.sum()))
        return self.named(
            class_distance=(real / real.sum() - fake / fake.sum()).abs().sum() / 2,
            class_p=chi_square_p(real, fake),
            classes_missing=((real > 0) & (fake == 0)).sum(),
        )
