"""Inception Score (Salimans et al. 2016, arXiv:1606.03498)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.errors import require_at_least
from zoo.metrics.accumulate import StoredFeatures, require_samples


class InceptionScore(StoredFeatures):
    """Inception Score of generated samples: large if each has a clear class and all classes occur. Higher is better.

        IS = exp(E_x KL(p(class | x) || p(class)))    (Salimans et al. 2016, section 4)

    The score lies between 1 and the number of classes; it is the mean over `splits` parts of the samples. Its inputs
    are a classifier's logits (M, K) of generated samples; real ones are ignored. The original takes all 1008 outputs of
    the 2015 Inception network without the last layer's bias; scores from other classifiers are not comparable with it.
    The score equals that of torch-fidelity 0.4.0 to 1e-12.

    Args:
        splits: number of parts of equal size.
        shuffle: assign samples to parts at random, as torch-fidelity does with its seed 2020; otherwise parts are
            contiguous, which lowers the score of samples that are sorted by class.
        seed: seed of the shuffling.
        name: name of the mean; `<name>_std` is the standard deviation over parts.

    Example:
        Confident logits, of each of three classes equally often:

        >>> import torch
        >>> from zoo.metrics import InceptionScore
        >>> metric = InceptionScore(splits=1)
        >>> metric.update(1000 * torch.eye(3).repeat(4, 1))
        >>> round(metric.compute()["is"].item(), 6)
        3.0
    """

    higher_is_better = True

    def __init__(self, splits: int = 10, shuffle: bool = True, seed: int = 2020, name: str = "is") -> None:
        super().__init__()
        require_at_least(1, splits=splits)
        self.splits, self.shuffle, self.seed, self.name = splits, shuffle, seed, name

    def update(self, features: Tensor, real: bool = False) -> None:
        """Store a batch of logits.

        Args:
            features: logits (B, K).
            real: whether they are of real samples, which are ignored.
        """
        if not real:
            super().update(features, real=False)

    def compute(self) -> dict[str, Tensor]:
        """Return mean and standard deviation over the parts, under `name` and `<name>_std`."""
        _, logits = self.features()
        n = len(logits)
        require_samples(self.splits, f"{self.name} with splits={self.splits}", n)
        if self.shuffle:
            logits = logits[torch.from_numpy(np.random.RandomState(self.seed).permutation(n)).to(logits.device)]
        scores = []
        for i in range(self.splits):
            log_p = logits[i * n // self.splits : (i + 1) * n // self.splits].double().log_softmax(1)
            p = log_p.exp()
            scores.append((p * (log_p - p.mean(0).log())).nan_to_num(0).sum(1).mean().exp())
        values = torch.stack(scores)
        return self.named(**{self.name: values.mean(), f"{self.name}_std": values.std(correction=0)})
