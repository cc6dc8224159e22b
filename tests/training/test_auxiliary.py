"""The loss of an auxiliary classifier."""

from __future__ import annotations

import math

import pytest
import torch

from zoo.training.auxiliary import class_loss
from zoo.training.batch import Batch


def test_cross_entropy_by_hand() -> None:
    batch = Batch(torch.zeros(2, 1, 1, 1), torch.tensor([0, 1]))
    batch.heads = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    assert float(class_loss(batch)) == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
