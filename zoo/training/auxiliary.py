"""The loss of an auxiliary classifier (AC-GAN; Odena, Olah and Shlens 2017, arXiv:1610.09585)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo.training.batch import Batch


def class_loss(batch: Batch) -> Tensor:
    """Compute the auxiliary classifier's cross entropy of the logits that `score` left in `batch.heads`."""
    assert batch.heads is not None
    assert batch.labels is not None
    return cross_entropy(batch.heads, batch.labels)
