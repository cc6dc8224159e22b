"""The payoff of a mixture of generators against a mixture of discriminators, estimated on one batch.

See `zoo.models.mix.mixgan` for the two estimators.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from zoo.gan import GAN
from zoo.models.mix.members import with_networks
from zoo.models.mix.passes import JoinedBatches, JoinedPasses
from zoo.sampling.protocol import in_dtype_of
from zoo.training.batch import Batch
from zoo.training.objectives import Terms
from zoo.training.player import Loss
from zoo.training.seeding import seeded

Payoff = Literal["shared", "full"]
Pairs = Sequence[Sequence[GAN]]
"""Models of the base, by generator and discriminator."""
LossOf = Callable[[GAN], Loss]
"""A function from a pair to one of its losses."""


def weighted(terms: list[Terms], weights: Tensor) -> Terms:
    """Return the mean of each named term over the k members, weighted by `weights` (k,)."""
    if len(terms) == 1:
        return terms[0]
    return {name: torch.stack([one[name].to(weights.dtype) for one in terms]) @ weights for name in terms[0]}


def resampled(fake: Batch, weights: Tensor) -> Batch:
    """Draw as many images as there are, by weight, from images that are split evenly over the members of a mixture.

    Args:
        fake: generated images, the rows of one member after those of another.
        weights: probabilities (k,) of the members.
    """
    return taken(fake, rows_by_weight(len(fake), weights))


def taken(batch: Batch, rows: Tensor) -> Batch:
    """Return the rows (N,) of a batch."""
    rest = (None if each is None else each[rows] for each in (batch.labels, batch.latents))
    return Batch(batch.images[rows], *rest)


def rows_by_weight(size: int, weights: Tensor) -> Tensor:
    """Draw rows (B,), by weight, of B rows that are split evenly over the members of a mixture.

    Systematic resampling: with B rows of which member i generated n_i, each of these is taken `B * w_i / n_i` times on
    average, and the number of times differs from that by less than one. The host does not wait for the device.

    Args:
        size: number of rows B, those of one member after those of another.
        weights: probabilities (k,) of the members.
    """
    k = len(weights)
    counts = torch.tensor([len(rows) for rows in torch.arange(size).tensor_split(k)])
    member = torch.arange(k).repeat_interleave(counts).to(weights.device)
    edges = (weights / counts.to(weights.device))[member].double().cumsum(0)
    points = (torch.arange(size, device=weights.device) + torch.rand(1, device=weights.device)) / size
    return torch.searchsorted(edges, points.double()).clamp_(max=size - 1)


def discriminator_terms(
    pairs: Pairs, loss_of: LossOf, real: Batch, fake: Batch, weights: Tensor, payoff: Payoff
) -> list[Terms]:
    """Return the terms of each discriminator against the mixture of generators.

    Args:
        pairs: models of the base, by generator and discriminator.
        loss_of: function from a pair to the discriminator's loss.
        real: real images.
        fake: generated images, the rows of one generator after those of another.
        weights: probabilities (k,) of the generators.
        payoff: estimator of the payoff.
    """
    k, base = len(pairs), pairs[0][0]
    if k > 1 and payoff == "shared":
        rows = rows_by_weight(len(fake), weights)
        if base.objective is not None and base.objective.pairs and base.num_classes:
            real = taken(real, rows * len(real) // len(fake))  # the images of a pair have one class
        fake = taken(fake, rows)
    if k == 1 or payoff == "shared":
        return [loss_of(pair)(real, fake) for pair in pairs[0]]
    fakes = fake.chunk(k)
    if base.couples_batch:
        groups = [JoinedBatches([real], real), *(JoinedBatches([part], part) for part in fakes)]
    else:
        groups = [JoinedBatches([real, *fakes])]
    columns = _terms_of_pairs(pairs, loss_of, [real] * k, fakes, groups)
    return [weighted(column, weights) for column in columns]


def generator_terms(
    pairs: Pairs, loss_of: LossOf, real: Batch, fake: Batch, weights: Tensor, payoff: Payoff
) -> list[Terms]:
    """Return the terms of each generator against the mixture of discriminators.

    Args:
        pairs: models of the base, by generator and discriminator.
        loss_of: function from a pair to the generator's loss.
        real: real images.
        fake: generated images, the rows of one generator after those of another.
        weights: probabilities (k,) of the discriminators.
        payoff: estimator of the payoff.
    """
    k = len(pairs)
    if k == 1 and len(pairs[0]) == 1:
        return [loss_of(pairs[0][0])(real, fake)]
    fakes = fake.chunk(k)
    reals = real.chunk(k) if payoff == "shared" else [real] * k
    if payoff == "full" and pairs[0][0].couples_batch:
        groups = [JoinedBatches([part], part) for part in fakes]
    else:
        groups = [JoinedBatches(fakes, fake)]
    columns = _terms_of_pairs(pairs, loss_of, reals, fakes, groups)
    return [weighted(list(row), weights) for row in zip(*columns)]


def _terms_of_pairs(
    pairs: Pairs, loss_of: LossOf, reals: list[Batch], fakes: list[Batch], groups: list[JoinedBatches]
) -> list[list[Terms]]:
    """Return the base's terms of all pairs, from joined passes: for each discriminator, those of each generator."""
    columns = []
    for column in zip(*pairs):
        passes = JoinedPasses(column[0].discriminator, groups)
        terms = []
        for pair, real, fake in zip(column, reals, fakes):
            passes.begin()
            terms.append(loss_of(passes.pair(pair))(real, fake))
        columns.append(terms)
    return columns


def payoff_matrix(pairs: Pairs, real: Batch, seed: int) -> Tensor:
    """Compute the payoffs (generators, discriminators) of all pairs, see `MixGAN.payoffs`.

    Args:
        pairs: models of the base, by generator and discriminator.
        real: real images as they come from the data.
        seed: seed of the latents and labels.
    """
    base = pairs[0][0]
    payoffs = torch.zeros(len(pairs), len(pairs[0]), device=base.device)
    discriminators = [copy.deepcopy(pair.discriminator).train().requires_grad_(False) for pair in pairs[0]]
    generators = [copy.deepcopy(row[0].generator).train().requires_grad_(False) for row in pairs]
    kept = [buffer.clone() for buffer in base.buffers()]  # a loss may keep a running mean in one
    with seeded(seed, base.device), torch.enable_grad():  # penalties differentiate by the images
        real = base.prepare(Batch(in_dtype_of(base.generator, real.images), real.labels))  # NumPy's may be float64
        z, labels = base.sample_latent(len(real)), base.sample_labels(len(real))
        labels = labels if real.labels is None else real.labels
        for i, generator in enumerate(generators):
            fake = Batch(base.generate(generator, z, labels), labels, z)
            for j, discriminator in enumerate(discriminators):
                terms = with_networks(pairs[i][j], generator, discriminator, base.average).discriminator_loss(
                    real, fake
                )
                payoffs[i, j] = -terms.get("adversarial", torch.stack(list(terms.values())).sum()).detach()
    for buffer, value in zip(base.buffers(), kept):
        buffer.copy_(value)
    return payoffs
