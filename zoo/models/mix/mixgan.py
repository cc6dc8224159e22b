"""MIX+GAN: Arora, Ge, Liang, Ma and Zhang 2017, "Generalization and Equilibrium in Generative Adversarial Nets",
arXiv:1703.00573, section 5, around any other variant. Checked against the authors' code (cifar10/train_mixgan.py).

Several generators and discriminators of one architecture, each with its own parameters, play mixed strategies. The
payoff is `sum_ij w_i w_j F(generator i, discriminator j)`, where F is the base's own game, and every loss is the base's
own. The weights are learnt with the networks: each side adds `entropy * R(w)`, which keeps it from collapsing onto one
member, to what it minimises.

As in the paper the weights are kept as logarithms and move by exponentiated gradient, once for each move of their
player, with a rate of their own. The authors' code leaves them to the networks' Adam; that is
`weight_update="optimizer"`. What else is only in their code (scores of a classifier, a latent to be recovered,
discriminators that pause while they win) belongs to their base and is not taken over.

Two ways to estimate the payoff have the same expectation:

- `shared`: the images generated in a round are split over the generators, and each discriminator sees as many as the
  base's would. Discriminators play against the mixture: the rows that they see are drawn from the generators' rows by
  weight (systematic resampling, so with equal weights every row is seen once), and each computes the base's loss once,
  penalties included. For the generators, each discriminator scores the rows of all of them in one pass.
- `full`: every generator turns all latents into images, the same latents for all as in the authors' code, and every
  pair of a generator and a discriminator has its payoff from a whole batch. Real images are scored once by each
  discriminator, not once for each pair. A base's penalty is computed for every pair.

A discriminator with layers that couple a batch (batch norm, minibatch deviation) sees in `shared` one real batch and
one generated batch of the base's sizes, the latter from all generators; in `full` the batch of each generator by
itself. Generators normalise their own rows: in `shared` only a k-th of the batch, so give k times as many where that
is few. Terms of a generator's loss that do not ask the discriminator, such as orthogonal regularisation, are computed
once for each discriminator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo import sampling
from zoo.errors import DataError, require_at_least
from zoo.gan import GAN, Player
from zoo.models.mix.members import build_members
from zoo.models.mix.mixture import Drawn, Mixture, Regulariser, WeightUpdate, regularisation
from zoo.models.mix.passes import JoinedPasses, Together, payoff_matrix, resampled, separate_passes, weighted
from zoo.training.batch import Batch
from zoo.training.objectives import Terms

Payoff = Literal["shared", "full"]
Loss = Callable[[Batch, Batch], Terms]


class MixGAN(GAN):
    """A mixture of generators against a mixture of discriminators. `MixGAN({"class": "DCGAN", "resolution": 32})`.

    With `components=1` it is the base, to the last bit. Everything of the base that is not a network stays in force:
    its losses, latents, classes, schedules and players' settings; clipping is by the norm over all members.

    Args:
        base: a variant of the zoo or a class of yours and its arguments, as in a recipe:
            `{"class": "DCGAN", "width": 32}`, `{"class": "my_ideas.Mine"}`; a text is a class without arguments.
        components: k, of both sides; 5 in the paper's experiments.
        generators: another number of generators; 0 for `components`.
        discriminators: another number of discriminators; 0 for `components`.
        payoff: `shared` or `full`, see above.
        weight_update: `exponentiated_gradient`, or `optimizer`: by the networks' own.
        weight_lr: rate of the exponentiated gradient; follows the base's schedule.
        entropy: weight of the regulariser R; 0.1 in the authors' code.
        regulariser: R: `cross_entropy`, the paper's `-(1/k) sum log w_i`, or `shannon`, `sum w_i log w_i`.
        seed: of latents, noise and draws of members; the base has none of its own.

    Raises:
        ValueError: for a base that is no GAN, has a third player, or is itself a mixture; for numbers out of range.
        UserError: when there is no class of the base's name.
    """

    generator: Mixture
    discriminator: Mixture
    average: Mixture

    nested: ClassVar[tuple[str, ...]] = ("base",)  # settings that are themselves a class and its settings

    def __init__(
        self,
        base: dict[str, Any],
        components: int = 5,
        generators: int = 0,
        discriminators: int = 0,
        payoff: Payoff = "shared",
        weight_update: WeightUpdate = "exponentiated_gradient",
        weight_lr: float = 0.01,
        entropy: float = 0.1,
        regulariser: Regulariser = "cross_entropy",
        seed: int = 0,
    ) -> None:
        require_at_least(1, components=components)
        require_at_least(0, generators=generators, discriminators=discriminators, weight_lr=weight_lr, entropy=entropy)
        if payoff not in get_args(Payoff):
            raise ValueError(f"payoff is 'shared' or 'full'; got {payoff!r}")
        if regulariser not in get_args(Regulariser):
            raise ValueError(f"regulariser is 'cross_entropy' or 'shannon'; got {regulariser!r}")
        counts = generators or components, discriminators or components
        first, *others = build_members(base, max(counts), seed)
        members = [(m.generator, m.discriminator) for m in (first, *others)]
        # The first model stays, without networks of its own: it lends its losses and its ways to every pair.
        for name in ("generator", "discriminator", "average"):
            del first._modules[name]
        super().__init__(
            Mixture([generator for generator, _ in members[: counts[0]]], weight_update),
            Mixture([discriminator for _, discriminator in members[: counts[1]]], weight_update),
            first.objective,
            resolution=first.resolution,
            channels=first.channels,
            latent_dim=first.latent_dim,
            num_classes=first.num_classes,
            generator_lr=first.generator_lr,
            discriminator_lr=first.discriminator_lr,
            betas=first.betas,
            critic_steps=first.critic_steps,
            micro_batches=first.micro_batches,
            clip_norm=first.clip_norm,
            seed=seed,
        )
        self.moving_average, self.schedule = first.moving_average, first.schedule
        self.couples_batch = first.couples_batch
        self.components, self.payoff = max(counts), payoff
        self.weight_lr, self.entropy, self.regulariser = weight_lr, entropy, regulariser
        self.base = first
        first.__dict__["average"] = self.average.members[0]
        self.lend(self.generator.members[0], self.discriminator.members[0])
        self.save_hyperparameters(logger=False)

    @property
    def generator_weights(self) -> Tensor:
        """Probability (k,) of each generator."""
        return self.generator.weights.detach()

    @property
    def discriminator_weights(self) -> Tensor:
        """Probability (k,) of each discriminator."""
        return self.discriminator.weights.detach()

    # --- the base, playing for a pair of members ---------------------------------------------------------------------

    def lend(self, generator: Any = None, discriminator: Any = None) -> GAN:
        """The base with these networks and our clock. They are not its modules, so nothing is registered twice."""
        base = self.base
        base.set_clock(**self.clock_state())
        base.images_before = self.images_before
        if generator is not None:
            base.__dict__["generator"] = generator
        if discriminator is not None:
            base.__dict__["discriminator"] = discriminator
        return base

    def players(self) -> list[Player]:
        """The base's players, each with all its members."""
        mine = {"generator": (self.generator, self._generators), "discriminator": (self.discriminator, self._critics)}
        base = self.lend(self.generator.members[0], self.discriminator.members[0])
        found = []
        for player in base.players():
            sides = [side for side in mine if getattr(base, side) is player.network]
            if not sides:
                raise ValueError(
                    f"a MixGAN mixes generators and discriminators; the base {type(base).__name__} has a player "
                    f"{player.name!r} that is neither"
                )
            mixture, loss = mine[sides[0]]
            found.append(replace(player, network=mixture, loss=partial(loss, player.loss)))
        return found

    def sample_latent(self, n: int) -> Tensor:
        """Latents (n, Z) of the base's distribution."""
        return self.lend().sample_latent(n)

    def sample_labels(self, n: int) -> Tensor | None:
        """Class indices (n,) as the base draws them."""
        return self.lend().sample_labels(n)

    def data_resolution(self, progress: int) -> int:
        """Resolution at which the base wants real images."""
        return self.lend().data_resolution(progress)

    def prepare(self, real: Batch) -> Batch:
        """Real images as the base's discriminator shall see them."""
        return self.lend().prepare(real)

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Images (B, C, H, W) from latents (B, Z).

        Args:
            network: one member; a mixture drawn for these rows, see `Mixture.drawn`; or a whole mixture, whose members
                then take equal parts of the rows, in order.
            z: latents.
            labels: class indices (B,) or None.
        """
        base = self.lend()
        if isinstance(network, Drawn):
            return self._generate_drawn(network, z, labels)
        if not isinstance(network, Mixture):
            return base.generate(network, z, labels)
        if len(network) == 1:
            return base.generate(network.members[0], z, labels)
        k = len(network)
        classes = [None] * k if labels is None else labels.tensor_split(k)
        parts = zip(network.members, z.tensor_split(k), classes)
        return torch.cat([base.generate(member, rows, y) for member, rows, y in parts if len(rows)])

    def _generate_drawn(self, network: Drawn, z: Tensor, labels: Tensor | None) -> Tensor:
        """Each row by the member that was drawn for it."""
        parts, places = [], []
        for i, member in enumerate(network.mixture.members):
            rows = (network.members == i).nonzero().flatten()
            if len(rows):
                parts.append(self.lend().generate(member, z[rows], None if labels is None else labels[rows]))
                places.append(rows)
        return torch.cat(parts)[torch.cat(places).argsort()]

    def score(self, batch: Batch) -> Tensor:
        """Logits (B,): the weighted mean of what the discriminators say."""
        logits = [self.lend(discriminator=member).score(batch) for member in self.discriminator.members]
        return logits[0] if len(logits) == 1 else torch.stack(logits, 1) @ self.discriminator.probabilities()

    def discriminator_loss(self, real: Batch, fake: Batch) -> Terms:
        """What the discriminators minimise, from real images and the rows that `fakes` made."""
        return self._critics(self.lend().discriminator_loss, real, fake)

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """What the generators minimise, from real images and the rows that `fakes` made."""
        return self._generators(self.lend().generator_loss, real, fake)

    def configure_optimizer(self, player: Player, parameters: list[nn.Parameter]) -> Optimizer:
        """The base's optimizer over all members; weights that move by exponentiated gradient are not in it."""
        own = [p for p in parameters if player.network.update == "optimizer" or p is not player.network.weights]
        return self.lend().configure_optimizer(player, own)

    def on_clock(self, before: int, now: int) -> None:
        """Act as the base does."""
        self.lend().on_clock(before, now)

    # --- the game ----------------------------------------------------------------------------------------------------

    def fakes(self, z: Tensor, labels: Tensor | None) -> Batch:
        """Generated images of a player's move, generator by generator; in `full` every latent serves all of them."""
        if self.payoff == "shared" or len(self.generator) == 1:
            return Batch(self.generate(self.generator, z, labels), labels)
        k = len(self.generator)
        images = [self.lend().generate(member, z, labels) for member in self.generator.members]
        return Batch(torch.cat(images), None if labels is None else labels.repeat(k))

    def _critics(self, loss: Loss, real: Batch, fake: Batch) -> Terms:
        """The discriminators' terms; `loss` is the base's, for the networks it is lent."""
        weights = self.discriminator.probabilities()
        terms = []
        if len(self.generator) == 1:
            terms = [self._alone(loss, j, real, fake) for j in range(len(weights))]
        elif self.payoff == "shared":
            mixed = resampled(fake, self.generator_weights)
            terms = [self._alone(loss, j, real, mixed) for j in range(len(weights))]
        else:
            reals = [real] * len(self.generator)
            fakes = fake.chunk(len(self.generator))
            if self.base.couples_batch:
                groups = [Together([real], real), *(Together([part], part) for part in fakes)]
            else:
                groups = [Together([real, *fakes])]
            for j in range(len(weights)):
                row = self._pairs(loss, j, reals, fakes, groups)
                terms.append(weighted(row, self.generator_weights))
        return {**weighted(terms, weights), **self._regularised(self.discriminator)}

    def _generators(self, loss: Loss, real: Batch, fake: Batch) -> Terms:
        """The generators' terms; the discriminators' weights are fixed."""
        weights = self.generator.probabilities()
        k, judges = len(self.generator), len(self.discriminator)
        if k == 1 and judges == 1:
            self.lend(self.generator.members[0])
            return self._alone(loss, 0, real, fake)
        fakes = fake.chunk(k)
        if self.payoff == "shared":
            reals, groups = real.chunk(k), [Together(fakes, fake)]
        else:
            reals = [real] * k
            groups = [Together([part], part) for part in fakes] if self.base.couples_batch else [Together(fakes, fake)]
        columns = [self._pairs(loss, j, reals, fakes, groups) for j in range(judges)]
        rows = [weighted([column[i] for column in columns], self.discriminator_weights) for i in range(k)]
        return {**weighted(rows, weights), **self._regularised(self.generator)}

    def _alone(self, loss: Loss, j: int, real: Batch, fake: Batch) -> Terms:
        """The base's terms for discriminator j and whatever generated the batch."""
        self.lend(discriminator=self.discriminator.members[j])
        return loss(real, fake)

    def _pairs(self, loss: Loss, j: int, reals: list[Batch], fakes: list[Batch], groups: list[Together]) -> list[Terms]:
        """The base's terms for discriminator j and each generator, from joined passes."""
        passes = JoinedPasses(self.discriminator.members[j], groups)
        terms = []
        with separate_passes(self.base):
            for i, member in enumerate(self.generator.members):
                passes.begin()
                self.lend(member, passes)
                terms.append(loss(reals[i], fakes[i]))
        return terms

    def _regularised(self, mixture: Mixture) -> Terms:
        if mixture.learnt is None or not self.entropy:
            return {}
        return {"mixture": self.entropy * regularisation(mixture.probabilities(), self.regulariser)}

    # --- the loop ----------------------------------------------------------------------------------------------------

    def _play(self, player: Player, optimizer: LightningOptimizer, real: Batch, rate: float) -> None:
        """Move one player's networks, then its weights."""
        mixture = player.network
        assert isinstance(mixture, Mixture)
        rows = len(real) // min(self.micro_batches, len(real))
        if len(self.generator) > 1 and rows < 2 * len(self.generator) and self.payoff == "shared":
            raise DataError(
                f"{rows} images in a pass leave fewer than 2 for each of {len(self.generator)} generators. Raise "
                "data.batch_size, lower micro_batches or components, or set payoff=full"
            )
        if mixture.learnt is not None:
            mixture.learnt.grad = None
        super()._play(player, optimizer, real, rate)
        mixture.step(self.weight_lr * rate)

    def log_terms(self) -> None:
        """Log the weights of both sides and their entropies, in nats, with the terms."""
        if self._running:
            for side, mixture in (("generator", self.generator), ("discriminator", self.discriminator)):
                weights = mixture.weights.detach()
                for i, weight in enumerate(weights):
                    self._running.add(f"mixture/{side}_{i}", weight, 1.0)
                self._running.add(f"mixture/{side}_entropy", torch.special.entr(weights).sum(), 1.0)
        super().log_terms()

    def payoffs(self, real: Batch, *, seed: int = 0) -> Tensor:
        """What each discriminator wins against each generator: (generators, discriminators), on as many latents.

        The negative adversarial term of the base's discriminator loss, on copies of the discriminators in training
        mode, as the game is played. Nothing of the model or, outside, of the random state changes.

        Args:
            real: images as they come from the data.
            seed: of the latents, which all generators share.
        """
        return payoff_matrix(self, real, seed)

    # --- using a trained model ---------------------------------------------------------------------------------------

    def sample_members(self, n: int) -> Tensor:
        """Which averaged generator draws each of n images: (n,), by weight, from torch's random state."""
        if len(self.generator) == 1 or n == 0:
            return torch.zeros(n, dtype=torch.long, device=self.device)
        return torch.multinomial(self.average.weights, n, replacement=True)

    def sample(self, n: int, *, component: int | None = None, **how: Any) -> Tensor:
        """Images (n, C, H, W), float32 in [-1, 1], each by a generator drawn by weight.

        Args:
            n: how many.
            component: draw all of them by this generator, 0 to k-1.
            how: `seed, labels, truncation, truncation_by, batch_size` as in `GAN.sample`.

        Raises:
            ValueError: as `GAN.sample`, and for a component that is not there.
        """
        if component is None:
            return super().sample(n, **how)
        k = len(self.generator)
        if not 0 <= component < k:
            raise ValueError(f"component must lie in 0..{k - 1}; got {component}")
        members = torch.full((n,), component, device=self.device)
        return sampling.sample(self, n, members=members, **how)
