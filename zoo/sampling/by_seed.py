"""Samples of which each has a seed of its own, so that an image can be named by its number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.sampling.images import TruncationBy, checked_labels, render, truncated
from zoo.sampling.protocol import GenerativeModel, RowNetworks
from zoo.training.seeding import seeded

LARGEST = 2**32 - 1
"""Largest seed: torch's generator on a CPU uses 32 bits."""


def sample_by_seeds(
    model: GenerativeModel,
    seeds: Sequence[int],
    *,
    labels: int | Sequence[int] | Tensor | None = None,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
    batch_size: int = 256,
) -> Tensor:
    """Draw images (N, C, H, W), float32 in [-1, 1], each with its own seed.

    Image i is `model.sample(1, seed=seeds[i], labels=labels[i])`, whatever the others are, up to rounding.

    Args:
        model: a trained model.
        seeds: N seeds from 0 to 2**32 - 1.
        labels: one class for all images, or one for each, by number; None draws them by the seeds.
        truncation: see `zoo.sampling.images.truncated`.
        truncation_by: see `zoo.sampling.images.truncated`.
        batch_size: number of images computed at a time.

    Raises:
        ValueError: for a seed out of range, labels that the model does not have, or an invalid truncation.
    """
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST:
            raise ValueError(f"seeds: whole numbers from 0 to {LARGEST}; got {seed!r}")
    if not seeds:
        raise ValueError("seeds: at least one seed; got none")
    latents, drawn, networks = [], [], []
    for seed in seeds:
        with seeded(seed, model.device):
            latents.append(truncated(model.sample_latent, 1, truncation, truncation_by))
            drawn.append(model.sample_labels(1))
            networks.append(model.choose_networks(1))
    own = [each for each in drawn if each is not None]
    classes = torch.cat(own) if own else None
    if labels is not None:
        classes = checked_labels(labels, len(seeds), model.num_classes).to(model.device)
    return render(model, torch.cat(latents), classes, _joined(networks), batch_size)


def _joined(rows: Sequence[RowNetworks]) -> RowNetworks:
    """Return the networks of single rows as those of a batch."""
    choices = [row.choice for row in rows if row.choice is not None]
    return RowNetworks(rows[0].networks, torch.cat(choices) if choices else None)
