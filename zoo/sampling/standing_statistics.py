"""Standing statistics: Brock et al. 2019, arXiv:1809.11096, appendix C.

A generator with batch norm is sampled with means and variances gathered during training, from weights that have since
moved and from latents that were not truncated. Standing statistics are computed anew for the weights and the truncation
in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.sampling.images import TruncationBy, truncated
from zoo.sampling.protocol import GenerativeModel, in_dtype_of
from zoo.training.seeding import seeded


@contextmanager
def standing_statistics(
    model: GenerativeModel,
    passes: int = 16,
    *,
    batch_size: int = 64,
    seed: int | None = 0,
    truncation: float | None = None,
    truncation_by: TruncationBy = "redrawing",
) -> Iterator[None]:
    """Replace the statistics of the averaged generator's batch norms by means over `passes` of new batches.

        with standing_statistics(model, truncation=0.5):
            images = model.sample(100, truncation=0.5)

    Every pass draws latents and labels anew. The statistics inside are true means, `(1/k) * sum`, not exponential
    ones, of each batch's mean and unbiased variance. Afterwards every buffer and mode is as it was, and with a seed so
    is the global random state. The authors' code takes 16 passes. The statistics belong to one truncation: enter again
    for another.

    Args:
        model: a trained model whose averaged generator has batch norm.
        passes: number of batches, at least 1.
        batch_size: images in each batch, at least 2.
        seed: seed of latents and labels; None draws from torch's global random state.
        truncation: truncation of the latents, as in `GAN.sample`.
        truncation_by: definition of the truncation, as in `GAN.sample`.

    Raises:
        ValueError: for fewer than one pass, fewer than two images in each, or a generator without batch norm.
    """
    if passes < 1 or batch_size < 2:
        raise ValueError(f"at least 1 pass of 2 images; got passes={passes}, batch_size={batch_size}")
    norms = [m for m in model.average.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        raise ValueError(f"the generator of this {type(model).__name__} has no batch norm with running statistics")
    before = [(norm.momentum, {name: b.clone() for name, b in norm.named_buffers()}) for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch then computes a cumulative mean, each batch with equal weight
            norm.train()
        with torch.no_grad(), seeded(seed, model.device):
            for _ in range(passes):
                latents = truncated(model.sample_latent, batch_size, truncation, truncation_by)
                model.generate(model.average, in_dtype_of(model.average, latents), model.sample_labels(batch_size))
        model.average.eval()
        yield
    finally:
        for norm, (momentum, buffers) in zip(norms, before):
            restore(norm, momentum, buffers)


def restore(norm: _BatchNorm, momentum: float | None, buffers: dict[str, torch.Tensor]) -> None:
    """Put a batch norm back into eval mode, with its earlier momentum and buffers."""
    norm.momentum = momentum
    norm.eval()
    for name, buffer in norm.named_buffers():
        buffer.copy_(buffers[name])
