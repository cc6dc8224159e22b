"""What the payoffs of a MixGAN are computed with: joined passes, rows drawn by weight, weighted terms."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.gan import GAN
from zoo.training.batch import Batch
from zoo.training.objectives import Terms
from zoo.training.seeding import seeded


class Together:
    """Batches that a discriminator shall see in one pass, joined once for all discriminators.

    Args:
        parts: the batches.
        joined: they in a row, where that is there already.
    """

    def __init__(self, parts: Sequence[Batch], joined: Batch | None = None) -> None:
        self.parts = list(parts)
        self.joined = joined or Batch.join(self.parts)
        self.sizes = [len(part) for part in self.parts]


class JoinedPasses:
    """Stands in for a discriminator while losses are computed member by member, and computes the scores of all at once.

    A call with the images of a known batch is answered from one pass over everything that belongs together; images of
    any other origin, such as the points between real and generated ones of a gradient penalty, go to the network as
    they are. So a loss may call its discriminator as it likes; only the number of passes changes.

    Args:
        network: a discriminator.
        groups: what is to be joined.
    """

    def __init__(self, network: nn.Module, groups: Sequence[Together]) -> None:
        self.network = network
        self._places = {
            id(part.images): (group, place, part) for group in groups for place, part in enumerate(group.parts)
        }
        self._calls: dict[int, int] = {}
        self._done: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def begin(self) -> None:
        """Start the loss of another member: from now on known batches are seen for the first time again.

        Without this a loss that scores one batch twice, to compare two draws of dropout, would get one pass twice.
        """
        self._calls.clear()

    def __call__(self, images: Tensor, *arguments: Any) -> Any:
        """Rows of the joined pass for the images of a known batch; else the network's own answer."""
        group, place, part = self._places.get(id(images), (None, 0, None))
        if group is None or part is None or images is not part.images:
            return self.network(images, *arguments)
        joined = [group.joined.labels if a is not None and a is part.labels else a for a in arguments]
        if any(isinstance(a, Tensor) and a is b for a, b in zip(arguments, joined)):  # a tensor of unknown rows
            return self.network(images, *arguments)
        call = self._calls.get(id(images), 0)
        self._calls[id(images)] = call + 1
        key = (id(group), call)
        if key not in self._done:
            self._done[key] = torch.split(self.network(group.joined.images, *joined), group.sizes)
        return self._done[key][place]


def weighted(terms: list[Terms], weights: Tensor) -> Terms:
    """The mean of each named term over the members, by weight (k,)."""
    if len(terms) == 1:
        return terms[0]
    return {name: torch.stack([one[name].to(weights.dtype) for one in terms]) @ weights for name in terms[0]}


def resampled(fake: Batch, weights: Tensor) -> Batch:
    """Rows of the mixture with these weights, as many as there are, from rows split evenly over its members.

    Systematic resampling: a row of member i, which has n_i rows, is taken `B * w_i / n_i` times on average and never
    differs from that by one or more. The device is not waited for.
    """
    size, k = len(fake), len(weights)
    counts = torch.tensor([len(rows) for rows in torch.arange(size).tensor_split(k)])
    member = torch.arange(k).repeat_interleave(counts).to(weights.device)
    edges = (weights / counts.to(weights.device))[member].double().cumsum(0)
    places = (torch.arange(size, device=weights.device) + torch.rand(1, device=weights.device)) / size
    rows = torch.searchsorted(edges, places.double()).clamp_(max=size - 1)
    return Batch(fake.images[rows], None if fake.labels is None else fake.labels[rows])


@contextmanager
def separate_passes(base: GAN) -> Iterator[None]:
    """Inside, the base asks for the scores of each batch by itself, so that each is recognised as a known one."""
    before = base.couples_batch
    base.couples_batch = True
    try:
        yield
    finally:
        base.couples_batch = before


def payoff_matrix(model: Any, real: Batch, seed: int) -> Tensor:
    """What each discriminator wins against each generator, see `MixGAN.payoffs`."""
    found = torch.zeros(len(model.generator), len(model.discriminator), device=model.device)
    copies = [copy.deepcopy(member).train().requires_grad_(False) for member in model.discriminator.members]
    generators = [copy.deepcopy(member).train().requires_grad_(False) for member in model.generator.members]
    with seeded(seed, model.device), torch.enable_grad():  # penalties differentiate by the images
        real = model.prepare(real)
        z, labels = model.sample_latent(len(real)), model.sample_labels(len(real))
        labels = labels if real.labels is None else real.labels
        for i, generator in enumerate(generators):
            fake = Batch(model.lend().generate(generator, z, labels), labels)
            for j, discriminator in enumerate(copies):
                terms = model.lend(generator, discriminator).discriminator_loss(real, fake)
                found[i, j] = -terms.get("adversarial", torch.stack(list(terms.values())).sum()).detach()
    model.lend(model.generator.members[0], model.discriminator.members[0])
    return found
