"""One-hot vectors of class indices."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """Return one-hot vectors (B, num_classes) of labels (B,).

    torch's own function reads the range of the labels back to the host at every call.
    """
    vectors = torch.zeros(labels.shape[0], num_classes, dtype=dtype, device=labels.device)
    return vectors.scatter_(1, labels[:, None], 1.0)
