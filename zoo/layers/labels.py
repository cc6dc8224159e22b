"""Class indices as vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """(B, num_classes) with a 1 at each label. torch's own reads the labels' range back to the host at every call."""
    vectors = torch.zeros(len(labels), num_classes, dtype=dtype, device=labels.device)
    return vectors.scatter_(1, labels[:, None], 1.0)
