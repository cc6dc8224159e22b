"""Small real images with a known source, for audits whose answer is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.audit.evidence.budget import budget
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.given import as_subject
from zoo.audit.evidence.reading import read_image_set
from zoo.features import extractor


def images(n: int, seed: int) -> Tensor:
    """Smooth pictures (n, 1, 8, 8) in [-1, 1] of eight causes each."""
    causes = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    causes = torch.nn.functional.avg_pool2d(causes, 3, 1, 1)
    weights = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))
    return torch.einsum("nk,kchw->nchw", weights, causes).tanh()


def split(seed: int, train: int = 1_500, held_out: int = 600, spare: int = 600) -> tuple[Tensor, Tensor, Tensor]:
    """Training, held-out and spare images."""
    found = images(train + held_out + spare, 1_000 + seed).split([train, held_out, spare])
    return found[0], found[1], found[2]


def evidence(subject: Any, train: Tensor, held_out: Tensor, seed: int = 0) -> Evidence:
    """Evidence in pixel space alone, which is quick."""
    return Evidence(
        as_subject(subject),
        read_image_set(train, "train"),
        read_image_set(held_out, "held_out"),
        budget("quick"),
        seed,
        extractor("pixels", size=4),
        {},
    )
