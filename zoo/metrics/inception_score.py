"""Inception Score (Salimans et al. 2016, arXiv:1606.03498)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import StoredFeatures, require_samples


class InceptionScore(StoredFeatures):
    """exp of the mean divergence of p(class | image) from p(class), mean over splits: 1 to the number of classes.

    Over logits of generated samples; real ones are ignored. Which logits is the extractor's business: the original
    takes all 1008 outputs of the 2015 Inception network without the last layer's bias, and scores from other
    classifiers do not compare with it.

    Args:
        splits: parts of equal size that are scored one by one.
        shuffle: draw the parts by `seed`, as torch-fidelity does with its seed 2020; else parts are contiguous, which
            lowers the score of samples that come sorted by class.
        seed: of the shuffling.
        name: key of the mean; `<name>_std` is the deviation over splits.
    """

    higher_is_better = True

    def __init__(self, splits: int = 10, shuffle: bool = True, seed: int = 2020, name: str = "is") -> None:
        super().__init__()
        require_at_least(1, splits=splits)
        self.splits, self.shuffle, self.seed, self.name = splits, shuffle, seed, name

    def update(self, features: Tensor, real: bool = False) -> None:
        """Add logits (B, classes) of generated samples; those of real ones are dropped."""
        if not real:
            super().update(features, real=False)

    def compute(self) -> dict[str, Tensor]:
        """Mean and deviation over splits."""
        _, logits = self.features()
        n = len(logits)
        require_samples(self.splits, f"{self.name} with splits={self.splits}", n)
        if self.shuffle:
            logits = logits[torch.from_numpy(np.random.RandomState(self.seed).permutation(n)).to(logits.device)]
        found = []
        for i in range(self.splits):
            log_p = logits[i * n // self.splits : (i + 1) * n // self.splits].double().log_softmax(1)
            p = log_p.exp()
            found.append((p * (log_p - p.mean(0).log())).nan_to_num(0).sum(1).mean().exp())
        values = torch.stack(found)
        return self.named(**{self.name: values.mean(), f"{self.name}_std": values.std(correction=0)})
