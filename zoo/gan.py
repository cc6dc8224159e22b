"""The base class of every GAN, with the training loop of the two players.

A variant defines the losses of its players; this file defines how players are stepped. One training batch is one
discriminator update; the generator moves on every `critic_steps`-th batch. Every schedule is a function of one clock,
see `zoo/training/clock.py`.

The loop uses Lightning's manual optimization. The idle player is frozen, so no graph is built through it and it gets no
gradient; gradients are clipped when they are final; the host waits for the device only in rounds that log.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.errors import require_at_least
from zoo.layers.wrappers import PlainlyNamed
from zoo.releases.publishing import Publishable
from zoo.sampling.protocol import in_dtype_of
from zoo.sampling.sampleable import Sampleable
from zoo.training import clock
from zoo.training.arrivals import Arrivals
from zoo.training.augment import Augmentation, Augmented
from zoo.training.average import MovingAverage, averaged_copy
from zoo.training.batch import Batch, check_batch, check_labels
from zoo.training.contract import (
    check_callbacks,
    check_model,
    check_terms,
    check_trainer,
    given_objective,
    monitors,
    scored,
    trainable,
    trained_by,
)
from zoo.training.freezing import frozen
from zoo.training.objectives import Objective, Terms, set_penalties
from zoo.training.penalties import PenaltyPrecision
from zoo.training.player import Player
from zoo.training.rates import set_learning_rate, shares_of_groups
from zoo.training.replicas import average_gradients
from zoo.training.seeding import derive_seed, set_seed
from zoo.training.term_logging import LogsTerms
from zoo.training.terms import RunningTerms, infinite_buffers


class GAN(Publishable, Sampleable, clock.Clocked, LogsTerms, Augmented, PlainlyNamed, LightningModule):
    """A generator and a discriminator with their training loop: the base class of every variant.

    Images are (B, C, H, W) in [-1, 1], latents (B, Z), scores (B,). A variant builds its networks, passes them to this
    constructor, and overrides what its paper does differently: `sample_latent`, `generate`, `score`, the losses and
    others, see "What a variant overrides" in `docs/architecture.md`. The variant's own constructor takes plain values
    only and ends with `self.save_hyperparameters(logger=False)`, so that checkpoints can rebuild the model.

    Args:
        generator: module called with latents (B, Z) and class indices (B,), or None without classes; returns images.
        discriminator: module called with images and class indices, or None without classes; returns scores (B,).
        objective: the losses of both players, of which the model keeps a copy; None for a variant that overrides both.
        resolution: height and width of the images, in pixels.
        channels: channels of the images.
        latent_dim: length Z of the latents.
        num_classes: number of classes; 0 for an unconditional model.
        generator_lr: Adam's learning rate for the generator.
        discriminator_lr: Adam's learning rate for the discriminator.
        betas: Adam's betas, for all players.
        lr_schedule: `constant`, or `linear` or `cosine` decay to `lr_final` at `lr_horizon`.
        lr_horizon: images at which the decay ends.
        lr_final: share of the learning rates that is left when the decay has ended.
        lr_warmup: images over which the learning rates rise from 0.
        critic_steps: discriminator updates for each turn of the generator.
        generator_steps: generator updates in each of its turns, on the same real images.
        micro_batches: number of parts a batch is processed in, to bound memory; batch norm sees one part at a time.
        clip_norm: largest norm of each player's gradient; 0 for no clipping.
        average_halflife: half-life of the generator's moving average (EMA), in images; 0 samples from the live
            generator.
        average_start: images before which the average is a plain copy of the generator.
        augment: augmentations of all images that a loss sees: any of `color`, `translation`, `cutout`, or `adaptive`
            (ADA: the discriminator's overfitting sets the strength), or `pipeline` (the same transformations at
            `augment_strength`); see `zoo/training/augment.py`.
        augment_strength: probability of each transformation of `pipeline`, 0 to 1.
        augment_factors: factors of the probability of `adaptive` and `pipeline` for single transformations, such as
            `{rotate90: 0, hue: 0.5, cutout: 1}`; those not named have 1, and cutout 0.
        ada_target: mean sign of the scores of real images, r_t, that `adaptive` steers to.
        ada_speed: images over which `adaptive` can raise the probability from 0 to 1.
        r1: weight of the zero-centred gradient penalty on real images, `r1 / 2 * E[|grad D(x)|^2]`; 0 for none.
        r2: weight of the same penalty on generated images; 0 for none.
        penalty_every: rounds from one computation of all gradient penalties to the next, their weights multiplied by
            this number: the same average strength at lower cost (lazy regularisation, Karras et al. 2020,
            arXiv:1912.04958, section 3.1, where it is 16; here without its change of Adam's betas).
        penalty_precision: precision of the passes of a gradient penalty: `float32`, or `mixed` for that of the
            networks, which takes about half the time where that is bf16-mixed. None for that of the objective: `mixed`
            for the penalty of WGAN-GP, with which models were as good (`studies/penalty_precision.py`), else `float32`.
        seed: seed of latents and noise, combined with rank and clock.
    """

    class_names: tuple[str, ...] = ()
    """Names of the classes in the order of their numbers, from the data; empty where they are not known."""

    couples_batch = False
    """Whether the discriminator has layers that mix the images of a batch (batch norm, minibatch stddev). If so, real
    and generated images are scored in separate passes; if not, in one."""

    makes_labels = False
    """Whether `prepare` makes the labels of a conditional model, so that it can be trained on data without labels."""
    loss_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that only losses and schedules of a variant read: they may change when a run is resumed."""

    schedule_settings: ClassVar[tuple[str, ...]] = ("lr_horizon", "lr_warmup", "average_start")
    """Settings in images that belong to the length of a run; `zoo.fit` with `hours=` scales them with it."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        objective: Objective | None,
        *,
        resolution: int,
        channels: int,
        latent_dim: int,
        num_classes: int = 0,
        generator_lr: float = 2e-4,
        discriminator_lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        lr_schedule: clock.ScheduleKind = "constant",
        lr_horizon: int = 0,
        lr_final: float = 0.0,
        lr_warmup: int = 0,
        critic_steps: int = 1,
        generator_steps: int = 1,
        micro_batches: int = 1,
        clip_norm: float = 0.0,
        average_halflife: int = 10_000,
        average_start: int = 0,
        augment: str | tuple[str, ...] = (),
        augment_strength: float = 0.2,
        augment_factors: dict[str, float] | None = None,
        ada_target: float = 0.6,
        ada_speed: int = 500_000,
        r1: float = 0.0,
        r2: float = 0.0,
        penalty_every: int = 1,
        penalty_precision: PenaltyPrecision | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(1, resolution=resolution, channels=channels, latent_dim=latent_dim)
        require_at_least(1, critic_steps=critic_steps, generator_steps=generator_steps, micro_batches=micro_batches)
        require_at_least(1, penalty_every=penalty_every)
        require_at_least(0, num_classes=num_classes, clip_norm=clip_norm, lr_warmup=lr_warmup)
        require_at_least(0, generator_lr=generator_lr, discriminator_lr=discriminator_lr)
        require_at_least(0, average_halflife=average_halflife, average_start=average_start)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must lie in [0, 1); got {tuple(betas)}")
        self.automatic_optimization = False
        self.clock = clock.Clock()
        # channels_last: 1.2 to 2 times faster on CPUs and what tensor cores want; the values are the same.
        self.generator = generator.to(memory_format=torch.channels_last)
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
        self.average = averaged_copy(self.generator)
        self.moving_average = MovingAverage(average_halflife, average_start)
        self.objective, self.penalty_every = copy.copy(objective), penalty_every  # the loop sets weights on its copy
        self.penalty_precision = set_penalties(self.objective, r1, r2, penalty_precision)
        self.schedule = clock.Schedule(lr_schedule, lr_horizon, lr_warmup, lr_final)
        self.resolution, self.channels = resolution, channels
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.generator_lr, self.discriminator_lr = generator_lr, discriminator_lr
        self.betas = float(betas[0]), float(betas[1])  # Adam refuses (0, 0.9): "both floats or both Tensors"
        self.critic_steps, self.generator_steps = critic_steps, generator_steps
        self.micro_batches, self.clip_norm, self.seed = micro_batches, clip_norm, seed
        self.augmentation = Augmentation(augment, augment_strength, augment_factors, ada_target, ada_speed)
        # Set by the `Alarms` callback: a factor on all learning rates, and whether a loss that is not finite is undone.
        self.lr_factor, self.can_roll_back = 1.0, False
        self.last_terms: dict[str, float] = {}  # the terms last logged
        self._running, self._arrivals = RunningTerms(), Arrivals(num_classes)
        self._restored_terms: dict[str, list[float]] = {}  # of the checkpoint that a fit resumes from
        self._not_checked: frozenset[str] = frozenset()  # buffers that are infinite by design
        self._trained: dict[str, list[nn.Parameter]] = {}  # by player, as the shares of its groups' learning rates
        self._shares: dict[str, list[float]] = {}
        self._is_first = True  # whether the next round is the first of a fit

    @property
    def device(self) -> torch.device:
        """Device of the generator's weights."""
        weight = next(self.generator.parameters(), None)
        return super().device if weight is None else weight.device

    @property
    def undecided(self) -> float | None:
        """Score of an undecided discriminator, see `Objective.undecided`; None also without an objective."""
        return None if self.objective is None else self.objective.undecided

    # --- methods that a variant may override -------------------------------------------------------------------------

    def players(self) -> list[Player]:
        """Return all players, in the order in which they move within a round."""
        pairs = self.objective is not None and self.objective.pairs  # the images of a pair have one class
        turns = {"every": self.critic_steps, "moves": self.generator_steps}
        return [
            Player("d", self.discriminator, self.discriminator_loss, self.discriminator_lr, real_labels=pairs),
            Player("g", self.generator, self.generator_loss, self.generator_lr, **turns, real_labels=pairs),
        ]

    def sample_latent(self, n: int) -> Tensor:
        """Draw latents (n, Z) of the training distribution; standard normal unless a variant overrides this."""
        return torch.randn(n, self.latent_dim, device=self.device)

    def sample_labels(self, n: int) -> Tensor | None:
        """Draw class indices (n,) uniformly for generated images; return None for an unconditional model."""
        return torch.randint(self.num_classes, (n,), device=self.device) if self.num_classes else None

    def data_resolution(self, progress: int) -> int:
        """Return the resolution at which the data module is to deliver real images after `progress` images."""
        return self.resolution

    def prepare(self, real: Batch) -> Batch:
        """Return real images as the discriminator is to see them; for labels made here see `makes_labels`."""
        return real

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return images (B, C, H, W) that `network`, the generator or its average, makes of latents (B, Z)."""
        images: Tensor = network(z, labels)
        return images

    def fakes(self, z: Tensor, labels: Tensor | None) -> Batch:
        """Return generated images for a player's loss, with the latents (B, Z) and classes (B,) they are made from."""
        return Batch(self.generate(self.generator, z, labels), labels, z)

    def shown(self, batch: Batch) -> Batch:
        """Return real or generated images as the losses see them: augmented, see `augment`."""
        return self.augmentation(batch)

    def score(self, batch: Batch) -> Tensor:
        """Return the discriminator's logits (B,); the higher, the more real.

        A discriminator with further outputs leaves them in `batch.heads`, (B, ...), where the losses find them.
        """
        scores: Tensor = self.discriminator(batch.images, batch.labels)
        return scores

    def discriminator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return named, weighted terms whose sum the discriminator minimises."""
        return given_objective(self).discriminator(self.scores, real, fake)

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Return named, weighted terms whose sum the generator minimises."""
        return given_objective(self).generator(self.scores, real, fake)

    def before_round(self, progress: int) -> None:
        """Set whatever follows a schedule of the variant's own, at the start of a round, after `progress` images.

        It must depend on `progress` alone, so that a resumed run continues as an uninterrupted one. It may set `r1` and
        `r2` of the objective, `moving_average`, `augment_strength`, and the betas of the optimizers.
        """

    def on_clock(self, before: int, now: int) -> None:
        """Act at the end of a round, which moved the progress from `before` to `now` images."""

    def configure_optimizer(self, player: Player, parameters: list[nn.Parameter]) -> Optimizer:
        """Return a player's optimizer over these parameters: Adam, fused (one kernel for all tensors) if available."""
        return torch.optim.Adam(parameters, lr=player.lr, betas=self.betas, fused=self.device.type in ("cpu", "cuda"))

    # --- the loop ----------------------------------------------------------------------------------------------------

    def scores(self, *batches: Batch) -> tuple[Tensor, ...]:
        """Score each batch, (B,), in one pass of the discriminator unless it `couples_batch`.

        The scores are left in `batch.scores` too, where a loss finds those that its parent's loss was computed from.
        """
        if len(batches) == 1 or self.couples_batch:
            return tuple(scored(self, batch) for batch in batches)
        joined = Batch.join(batches)
        scores = torch.split(scored(self, joined), [len(batch) for batch in batches])
        joined.split_heads(batches)
        for batch, rows in zip(batches, scores):
            batch.scores = rows
        return scores

    def training_step(self, data: Any, batch_idx: int) -> None:
        """Play one round on one batch: every player whose turn it is moves once."""
        # Seeding per round makes a resumed run draw what the uninterrupted one would have drawn, gives each rank its
        # own latents, and keeps random draws of metrics and callbacks from changing the training.
        set_seed(derive_seed("round", self.seed, self.global_rank, self.images_seen), self.device)
        batch = Batch.of(data)
        first, self._is_first = self._is_first, False
        if first:
            resolutions = {self.resolution, self.data_resolution(self.progress)}
            check_batch(batch, self.channels, resolutions, 0 if self.makes_labels else self.num_classes)
        self._arrivals.check_on_host(None if self.makes_labels else batch.labels, self.rounds + 1, self.images_seen)
        arrived = Batch(in_dtype_of(self.generator, batch.images), batch.labels)  # NumPy's are often float64
        real = self.prepare(self._arrivals.add(arrived, self.rounds + 1, self.images_seen, not self.makes_labels))
        if first and self.makes_labels:
            check_labels(real.labels, self.num_classes, "prepare of the model makes")
        self.before_round(self.progress)
        optimizers = self.optimizers()
        rate = self.schedule.at(self.progress) * self.lr_factor
        self.rounds += 1
        if self.objective is not None:
            self.objective.penalty_factor = 0.0 if self.rounds % self.penalty_every else float(self.penalty_every)
        shown = len(batch) * self.trainer.world_size
        for player, optimizer in zip(self.players(), optimizers if isinstance(optimizers, list) else [optimizers]):
            if self.rounds % player.every == 0:
                for _ in range(player.moves):
                    self._play(player, optimizer, real, rate)
        if self.rounds % self.critic_steps == 0:  # the generator moved
            self.moving_average.update(self.average, self.generator, shown * self.critic_steps, self.progress + shown)
        self.augmentation.end_round(self._running, shown, self.trainer.strategy.reduce, self.device)
        self.images_before, self.images_seen = self.images_seen, self.images_seen + shown
        self.on_clock(self.progress - shown, self.progress)
        if self.logs_this_round():
            self.log_terms()
            self.log_dict(self.last_terms, logger=False, batch_size=1)  # for progress bars
        elif monitors(self.trainer):  # they ask at any round, such as the end of an epoch
            self.log_dict(self._running.tensors(self.trainer.strategy.reduce), logger=False, batch_size=1)

    def _play(self, player: Player, optimizer: LightningOptimizer, real: Batch, rate: float) -> None:
        """Make one optimizer step of a player, with its learning rate multiplied by `rate`."""
        set_learning_rate(optimizer.optimizer, self._shares.get(player.name, ()), player.lr * rate)
        optimizer.zero_grad()
        shards = real.chunk(self.micro_batches)
        sizes = [len(shard) * player.fakes for shard in shards]
        # Drawn for all of the batch at once, so that latents do not depend on the number of micro-batches.
        latent_shards = torch.split(self.sample_latent(sum(sizes)), sizes)
        labels = self._labels(player, real)
        label_shards = [None] * len(shards) if labels is None else torch.split(labels, sizes)
        watching = self.augmentation.watching(self.objective, player.network is self.discriminator)
        with frozen(self._idle(player)), watching:
            for shard, z, y in zip(shards, latent_shards, label_shards):
                share = len(shard) / len(real)
                terms = player.loss(self.shown(shard), self.shown(self.fakes(z, y)))
                check_terms(terms, f"{type(self).__name__}, loss of {player.name!r}")
                # Lightning's autocast extends to the backward pass, where it would round the second derivatives of a
                # penalty to bf16. Without it each gradient has the precision of its forward pass.
                with torch.autocast(self.device.type, enabled=False):
                    self.manual_backward(torch.stack([term.float() for term in terms.values()]).sum() * share)
                for name, term in terms.items():
                    self._running.add(f"{player.name}/{name}", term.detach().float() * share, 1 / len(shards))
            if self.trainer.world_size > 1:
                average_gradients(self.trained_parameters(player.name))
            optimizer.step()

    def _labels(self, player: Player, real: Batch) -> Tensor | None:
        """Return classes (fakes * B,) of the images generated for a player; those of one real image are adjacent."""
        if player.real_labels and self.num_classes:
            assert real.labels is not None  # `check_batch` saw the first batch
            return real.labels.repeat_interleave(player.fakes)
        return self.sample_labels(len(real) * player.fakes)

    def _idle(self, player: Player) -> list[nn.Parameter]:
        """Return the parameters of the other players, which are frozen while this one moves; not those it shares."""
        own = {id(p) for p in self.trained_parameters(player.name)}
        return [p for trained in self._trained.values() for p in trained if id(p) not in own]

    def trained_parameters(self, player: str) -> list[nn.Parameter]:
        """Return the parameters that the optimizer of the player of this name updates; known once a fit has begun."""
        return trained_by(self, player)

    def configure_optimizers(self) -> list[Optimizer]:
        """Return one optimizer for each player, over the parameters of its network that are not frozen."""
        whose, players = type(self).__name__, self.players()
        self._trained = {player.name: trainable(player, whose) for player in players}
        optimizers = [self.configure_optimizer(player, self._trained[player.name]) for player in players]
        self._shares = {p.name: shares_of_groups(made, p, whose) for p, made in zip(players, optimizers)}
        return optimizers

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients, which are final here; earlier in the step they would be partial sums."""
        if self.clip_norm:
            nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], self.clip_norm)

    def train(self, mode: bool = True) -> GAN:
        """Set the mode of all modules but the average, which is never trained and stays in eval mode."""
        super().train(mode)
        self.average.eval()
        return self

    def setup(self, stage: str) -> None:
        """Refuse callbacks that cannot serve two players, before they begin."""
        check_callbacks(self.trainer)

    def on_fit_start(self) -> None:
        """Refuse trainers and models that cannot train a GAN correctly, with the reason."""
        check_trainer(self.trainer)
        check_model(self)
        self._is_first, self.lr_factor, self.can_roll_back = True, 1.0, False  # not those of an earlier fit
        self._running.load(self._restored_terms, self.device)
        self._restored_terms = {}
        self._not_checked = infinite_buffers(self)
        data: Any = getattr(self.trainer, "datamodule", None)
        if self.num_classes and hasattr(data, "class_names"):  # other loaders leave the names that the model has
            self.class_names = tuple(data.class_names)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add class, clock, names of classes and the sums of the terms since the last log to Lightning's checkpoint.

        Raises:
            NonFiniteLossError: when the state is not finite; whoever asked for the checkpoint, none is written.
        """
        self.assert_finite()
        record = {"class": f"{type(self).__module__}.{type(self).__qualname__}", **self.clock_state()}
        terms = self._running.state(self.trainer.strategy.reduce)
        checkpoint["zoo"] = {**record, "class_names": list(self.class_names), "terms": terms}
        if self.augmentation.adaptive is not None:
            checkpoint["zoo"]["adaptive"] = self.augmentation.adaptive.state(self.trainer.strategy.reduce)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock, of which every schedule is a function, the names of classes and the sums of the terms."""
        state = checkpoint["zoo"]
        self._restored_terms = state.get("terms", {})
        self.class_names = tuple(state.get("class_names") or ())
        self.set_clock(state["images_seen"], state["rounds"], state.get("images_undone", 0))
        self.load_strength(state)
