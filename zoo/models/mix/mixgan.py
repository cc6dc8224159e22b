"""MIX+GAN: Arora, Ge, Liang, Ma and Zhang 2017, "Generalization and Equilibrium in Generative Adversarial Nets",
arXiv:1703.00573, section 5, around any other variant. Checked against the authors' code (cifar10/train_mixgan.py).

Several generators and discriminators of one architecture, each with its own parameters, play mixed strategies. The
payoff is `sum_ij w_i w_j F(generator i, discriminator j)`, where F is the game of the base. Each pair of a generator
and a discriminator is a model of the base, and every loss is a method of the pairs. The weights are learnt with the
networks: each side adds `entropy * R(w)`, which keeps it from collapsing onto one member, to the loss it minimises.

As in the paper the weights are stored as logarithms and updated by exponentiated gradient, once for each move of their
player, at their own rate. The authors' code leaves them to the networks' Adam; that is `weight_update="optimizer"`.
Parts that are only in their code (scores of a classifier, a latent to be recovered, discriminators that pause while
they win) belong to their base and are not included.

Two estimators of the payoff have the same expectation:

- `shared`: the images generated in a round are split over the generators, and each discriminator sees as many as the
  base's would. Discriminators play against the mixture: the rows that they see are drawn from the generators' rows by
  weight (systematic resampling, so with equal weights every row is seen once), and each computes the base's loss once,
  penalties included. Where the loss pairs images of one class, real images are drawn with their partners. For the
  generators, each discriminator scores the rows of all of them in one pass.
- `full`: every generator turns all latents into images, the same latents for all as in the authors' code, and the
  payoff of every pair is computed on a full batch. Real images are scored once by each discriminator, not once for each
  pair. A base's penalty is computed for every pair.

A discriminator with layers that mix the images of a batch (batch norm, minibatch stddev) sees in `shared` one real
batch and one generated batch of the base's sizes, the latter from all generators; in `full` it sees the batch of each
generator separately. Generators normalise their own rows: in `shared` only a k-th of the batch, so use a batch k times
as large where that is few. Terms of a generator's loss that do not depend on the discriminator, such as orthogonal
regularisation, are computed once for each discriminator.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, ClassVar, get_args

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.errors import DataError, require_at_least
from zoo.gan import GAN
from zoo.models.mix.members import NETWORKS, build_members, passed_on, shared_state, with_networks
from zoo.models.mix.mixture import Mixture, Regulariser, WeightUpdate, regularisation
from zoo.models.mix.payoff import LossOf, Payoff, discriminator_terms, generator_terms, payoff_matrix, weighted
from zoo.models.mix.sampling import MixtureSampling
from zoo.training.batch import Batch
from zoo.training.contract import scored
from zoo.training.objectives import Terms
from zoo.training.player import Loss, Player


class MixGAN(MixtureSampling, GAN):
    """A mixture of generators against a mixture of discriminators. `MixGAN({"class": "DCGAN", "resolution": 32})`.

    With `components=1` it is the base, to the last bit. All settings of the base apply: its losses, latents, classes,
    schedules and players' settings; clipping is by the norm over all members. `member(i)` is generator i as a model of
    the base, to sample, evaluate, audit or save by itself.

    `pairs[i][j]` is generator i against discriminator j, again as a model of the base. Losses of a base may keep state
    between rounds in buffers, which all pairs share.

    Args:
        base: a variant of the zoo, or your own class, and its arguments, as in a recipe:
            `{"class": "DCGAN", "width": 32}`, `{"class": "my_ideas.Mine"}`; a string is a class without arguments.
        components: number k of members on both sides; 5 in the paper's experiments.
        generators: number of generators, if not `components`; 0 for `components`.
        discriminators: number of discriminators, if not `components`; 0 for `components`.
        payoff: estimator of the payoff: `shared` (generators share one batch) or `full` (each makes a full batch).
        weight_update: `exponentiated_gradient`, or `optimizer`: by the optimizer of the networks.
        weight_lr: rate of the exponentiated gradient; it follows the base's schedule.
        entropy: factor of the regulariser R; 0.1 in the authors' code.
        regulariser: form of R: `cross_entropy`, the paper's `-(1/k) sum log w_i`, or `shannon`, `sum w_i log w_i`.
        seed: seed of latents, noise and draws of members; the base has no seed of its own.

    Raises:
        ValueError: for a base that is no GAN, has a third player, overrides `fakes`, or is itself a mixture; for
            numbers out of range.
        UserError: when no class has the base's name.
    """

    generator: Mixture
    discriminator: Mixture
    average: Mixture

    loss_settings = ("payoff", "weight_lr", "entropy", "regulariser")
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
        members = build_members(base, max(counts), seed, excluded=MixGAN)
        first = members[0]
        super().__init__(
            Mixture([member.generator for member in members[: counts[0]]], weight_update),
            Mixture([member.discriminator for member in members[: counts[1]]], weight_update),
            first.objective,
            resolution=first.resolution,
            channels=first.channels,
            latent_dim=first.latent_dim,
            penalty_precision=first.penalty_precision,
        )
        self._adopt_settings(first)
        first.clock = self.clock
        self.pairs = [
            [with_networks(first, generator, discriminator, average) for discriminator in self.discriminator.members]
            for generator, average in zip(self.generator.members, self.average.members)
        ]
        self.base = shared_state(first)
        self.components, self.payoff = max(counts), payoff
        self.weight_lr, self.entropy, self.regulariser = weight_lr, entropy, regulariser
        self.save_hyperparameters(logger=False)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to replace a mixture by another module: the pairs and the weights belong to the mixture."""
        if name in NETWORKS and not isinstance(value, Mixture):
            raise TypeError(
                f"{name} of a MixGAN is a mixture of networks; got a {type(value).__name__}. To compile its networks: "
                f"model.{name}.compile(), in place"
            )
        super().__setattr__(name, value)

    def _adopt_settings(self, base: GAN) -> None:
        """Take the value that the base has for every setting that `GAN.__init__` stores."""
        for name in vars(self).keys() & vars(base).keys():
            if not name.startswith("_") and name != "clock":
                setattr(self, name, getattr(base, name))
        self.couples_batch, self.makes_labels = base.couples_batch, base.makes_labels
        self._arrivals = base._arrivals  # which knows the number of classes

    @property
    def generator_weights(self) -> Tensor:
        """Probability (k,) of each generator."""
        return self.generator.weights.detach()

    @property
    def discriminator_weights(self) -> Tensor:
        """Probability (k,) of each discriminator."""
        return self.discriminator.weights.detach()

    # --- members and pairs -------------------------------------------------------------------------------------------

    def member(self, component: int) -> GAN:
        """Return a generator of the mixture as a model of the base, which shares its weights and the clock.

        Its discriminator is the one of the same number, modulo the number of discriminators.

        Args:
            component: number of the generator, 0 to k-1.

        Raises:
            ValueError: for a number out of range.
        """
        k = len(self.generator)
        if not 0 <= component < k:
            raise ValueError(f"component must lie in 0..{k - 1}; got {component}")
        pair = self.pairs[component][component % len(self.discriminator)]
        if self.class_names:
            pair.class_names = self.class_names
        return pair

    @property
    def _first(self) -> GAN:
        """The first pair, for methods of the base that do not depend on the networks."""
        return self.pairs[0][0]

    def setup(self, stage: str) -> None:
        """Attach the trainer to the pairs, which are not submodules."""
        super().setup(stage)
        for pair in chain.from_iterable(self.pairs):
            pair.trainer = self.trainer

    def train(self, mode: bool = True) -> MixGAN:
        """Set the mode of all modules but the average, and of the pairs."""
        super().train(mode)
        for pair in chain.from_iterable(self.pairs):
            pair.training = mode
        return self

    # --- methods of the base -----------------------------------------------------------------------------------------

    def players(self) -> list[Player]:
        """Return the base's players, each with all its members."""
        sides = {
            "generator": (self.generator, self._generator_terms),
            "discriminator": (self.discriminator, self._discriminator_terms),
        }
        players = []
        for player in self._first.players():
            side = next((name for name in sides if getattr(self._first, name) is player.network), None)
            if side is None:
                raise ValueError(
                    f"a MixGAN mixes generators and discriminators; the base {type(self._first).__name__} has a player "
                    f"{player.name!r} that is neither"
                )
            mixture, terms = sides[side]
            players.append(replace(player, network=mixture, loss=partial(terms, partial(_loss_of, player.name))))
        return players

    def sample_latent(self, n: int) -> Tensor:
        """Draw latents (n, Z) of the base's distribution."""
        return self._first.sample_latent(n)

    def sample_labels(self, n: int) -> Tensor | None:
        """Draw class indices (n,) of the base's distribution, or return None if it is unconditional."""
        return self._first.sample_labels(n)

    def data_resolution(self, progress: int) -> int:
        """Return the resolution at which the base wants real images."""
        return self._first.data_resolution(progress)

    def prepare(self, real: Batch) -> Batch:
        """Return real images as the base's discriminator is to see them."""
        with passed_on(self._first, chain.from_iterable(self.pairs)):
            return self._first.prepare(real)

    def configure_optimizer(self, player: Player, parameters: list[nn.Parameter]) -> Optimizer:
        """Return the base's optimizer over all members, without weights that exponentiated gradient updates."""
        mixture = player.network
        assert isinstance(mixture, Mixture)
        trained = [p for p in parameters if mixture.update == "optimizer" or p is not mixture.weights]
        return self._first.configure_optimizer(player, trained)

    def before_round(self, progress: int) -> None:
        """Let the base set what follows its schedules, and take it over."""
        with passed_on(self._first, chain.from_iterable(self.pairs)):
            self._first.before_round(progress)
        self.moving_average = self._first.moving_average

    def on_clock(self, before: int, now: int) -> None:
        """Call the base's `on_clock` at the end of a round, which moved the progress from `before` to `now` images."""
        with passed_on(self._first, chain.from_iterable(self.pairs)):
            self._first.on_clock(before, now)

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (B, C, H, W) that a network makes of latents.

        Args:
            network: one member, or a mixture, whose members generate equal parts of the rows, in order.
            z: latents (B, Z).
            labels: class indices (B,) or None.
        """
        generate = self._first.generate
        if not isinstance(network, Mixture):
            return generate(network, z, labels)
        k = len(network)
        if k == 1:
            return generate(network.members[0], z, labels)
        classes = [None] * k if labels is None else labels.tensor_split(k)
        shares = zip(network.members, z.tensor_split(k), classes)
        return torch.cat([generate(member, rows, y) for member, rows, y in shares if len(rows)])

    def fakes(self, z: Tensor, labels: Tensor | None) -> Batch:
        """Return the images generated for a player's step, generator by generator; in `full` each one uses all z."""
        if self.payoff == "shared" or len(self.generator) == 1:
            return Batch(self.generate(self.generator, z, labels), labels, z)
        images = [self.generate(member, z, labels) for member in self.generator.members]
        k = len(images)
        return Batch(torch.cat(images), None if labels is None else labels.repeat(k), z.repeat(k, 1))

    def shown(self, batch: Batch) -> Batch:
        """Return images as the base's losses see them; an adaptive augmentation has one strength for the mixture."""
        return self._first.shown(batch)

    def score(self, batch: Batch) -> Tensor:
        """Return the weighted mean (B,) of the discriminators' logits."""
        logits = [pair.score(batch) for pair in self.pairs[0]]
        return logits[0] if len(logits) == 1 else torch.stack(logits, 1) @ self.discriminator.probabilities()

    def scores(self, *batches: Batch) -> tuple[Tensor, ...]:
        """Score each batch, see `GAN.scores`; one by one where the base scores packs, which lie within a batch."""
        if getattr(self._first, "packing", 1) > 1:
            return tuple(scored(self, batch) for batch in batches)
        return super().scores(*batches)

    def discriminator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the terms that the discriminators minimise, from real images and the rows of `fakes`."""
        return self._discriminator_terms(attrgetter("discriminator_loss"), real, fake)

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return the terms that the generators minimise, from real images and the rows of `fakes`."""
        return self._generator_terms(attrgetter("generator_loss"), real, fake)

    # --- the game ----------------------------------------------------------------------------------------------------

    def _discriminator_terms(self, loss_of: LossOf, real: Batch, fake: Batch) -> Terms:
        """Return the discriminators' terms; the generators' weights are constants."""
        terms = discriminator_terms(self.pairs, loss_of, real, fake, self.generator_weights, self.payoff)
        return {**weighted(terms, self.discriminator.probabilities()), **self._regularisation(self.discriminator)}

    def _generator_terms(self, loss_of: LossOf, real: Batch, fake: Batch) -> Terms:
        """Return the generators' terms; the discriminators' weights are constants."""
        terms = generator_terms(self.pairs, loss_of, real, fake, self.discriminator_weights, self.payoff)
        return {**weighted(terms, self.generator.probabilities()), **self._regularisation(self.generator)}

    def _regularisation(self, mixture: Mixture) -> Terms:
        """Return the regulariser of a side's weights as a named term; none for a single member or `entropy=0`."""
        if mixture.learnt is None or not self.entropy:
            return {}
        return {"mixture": self.entropy * regularisation(mixture.probabilities(), self.regulariser)}

    # --- the loop ----------------------------------------------------------------------------------------------------

    def _play(self, player: Player, optimizer: LightningOptimizer, real: Batch, rate: float) -> None:
        """Make one step of a player's networks, then one of the weights of its mixture."""
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
        """Compute the payoff of each discriminator against each generator: (generators, discriminators).

        The payoff is the negative adversarial term of the base's discriminator loss, on copies of the networks in
        training mode, as in the game. Neither the model nor the global random state changes.

        Args:
            real: real images as they come from the data.
            seed: seed of the latents, as many as real images and the same for all generators.
        """
        return payoff_matrix(self.pairs, real, seed)


def _loss_of(name: str, pair: GAN) -> Loss:
    """Return the loss of the player of this name in a pair."""
    return next(player.loss for player in pair.players() if player.name == name)
