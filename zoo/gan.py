"""The two-player loop, written once.

A variant says what each player wants; this file says how players are stepped. One training batch is one discriminator
update; the generator moves on every `critic_steps`-th. Everything scheduled reads one clock, see
`zoo/training/clock.py`.

Manual optimization under Lightning, with its traps answered here: the idle player is frozen, so no graph is built
through it and no gradient of it computed; gradients are clipped where they are final; the loop never waits for the
device except in the rounds that log.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo import sampling
from zoo.errors import CheckpointError, require_at_least
from zoo.releases.publishing import Publishable
from zoo.training import clock
from zoo.training.augment import augmented, check_kinds
from zoo.training.average import MovingAverage, averaged_copy
from zoo.training.batch import Batch, check_batch
from zoo.training.contract import check_terms, scored
from zoo.training.freezing import frozen
from zoo.training.objectives import Objective, Terms
from zoo.training.replicas import Replicas, average_gradients
from zoo.training.seeding import derive_seed, set_seed
from zoo.training.terms import NonFiniteLossError, RunningTerms, assert_finite


@dataclass(frozen=True)
class Player:
    """One side of the game: a network, what it wants, and how often it moves.

    Args:
        name: prefixes its logged terms, as in `d/adversarial`.
        network: the module whose parameters its optimizer owns.
        loss: from a batch of real and one of generated images to named, weighted terms; their sum is minimised.
        lr: learning rate before the schedule.
        every: it moves on every so-many-th round.
        fakes: generated images it is handed for each real one.
        real_labels: whether these have the classes of the real images, one for one, or classes of their own.
    """

    name: str
    network: nn.Module
    loss: Callable[[Batch, Batch], Terms]
    lr: float
    every: int = 1
    fakes: int = 1
    real_labels: bool = False


class GAN(Publishable, clock.Clocked, LightningModule):
    """A generator and a discriminator in play: the base of every variant.

    Images are (B, C, H, W) in [-1, 1], latents (B, Z), scores (B,). A variant builds its networks, hands them to this
    constructor, and overrides what differs in its paper: `sample_latent`, `sample_labels`, `prepare`, `generate`,
    `score`, `discriminator_loss`, `generator_loss`, `players`, `on_clock`. Its own constructor takes plain values only
    and ends with `self.save_hyperparameters(logger=False)`, so that checkpoints can rebuild it.

    Args:
        generator: called with latents (B, Z) and class indices (B,), or None where there are no classes; gives images.
        discriminator: called with images and class indices, or None; gives scores (B,).
        objective: the losses of both sides.
        resolution: height and width of images, in pixels.
        channels: of images.
        latent_dim: Z.
        num_classes: 0 for an unconditional model.
        generator_lr: learning rate of Adam for the generator.
        discriminator_lr: and for the discriminator.
        betas: Adam's, for all players.
        lr_schedule: `constant`, or `linear` or `cosine` to 0 at `lr_horizon`.
        lr_horizon: in images.
        lr_warmup: images over which rates rise from 0.
        critic_steps: discriminator updates for each generator update.
        micro_batches: a batch is worked through in so many parts, their gradients averaged, to bound memory.
        clip_norm: largest norm of each player's gradient; 0 for no clipping.
        average_halflife: of the generator's moving average, in images; 0 samples from the live generator.
        average_start: images before which the average is a plain copy.
        augment: augmentations of all images that a loss sees: any of `color`, `translation`, `cutout`; see
            `zoo/training/augment.py`.
        seed: of latents and noise, together with rank and clock.
    """

    couples_batch = False
    """Whether the discriminator has layers that mix images of a batch (batch norm, minibatch deviation). If so, real
    and generated images are scored in separate passes; if not, in one."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        objective: Objective,
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
        lr_warmup: int = 0,
        critic_steps: int = 1,
        micro_batches: int = 1,
        clip_norm: float = 0.0,
        average_halflife: int = 10_000,
        average_start: int = 0,
        augment: tuple[str, ...] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(1, resolution=resolution, channels=channels, latent_dim=latent_dim)
        require_at_least(1, critic_steps=critic_steps, micro_batches=micro_batches)
        require_at_least(0, num_classes=num_classes, clip_norm=clip_norm, lr_warmup=lr_warmup)
        require_at_least(0, generator_lr=generator_lr, discriminator_lr=discriminator_lr)
        require_at_least(0, average_halflife=average_halflife, average_start=average_start)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must lie in [0, 1); got {tuple(betas)}")
        self.automatic_optimization = False
        # channels_last: 1.2 to 2 times faster on CPUs and what tensor cores want; the values are the same.
        self.generator = generator.to(memory_format=torch.channels_last)
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
        self.average = averaged_copy(self.generator)
        self.moving_average = MovingAverage(average_halflife, average_start)
        self.objective = objective
        self.schedule = clock.Schedule(lr_schedule, lr_horizon, lr_warmup)
        self.resolution, self.channels = resolution, channels
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.generator_lr, self.discriminator_lr = generator_lr, discriminator_lr
        self.betas = float(betas[0]), float(betas[1])  # Adam refuses (0, 0.9): "both floats or both Tensors"
        self.critic_steps, self.micro_batches, self.clip_norm, self.seed = critic_steps, micro_batches, clip_norm, seed
        self.augment = check_kinds(augment)
        self.lr_factor, self.can_roll_back = 1.0, False  # set by `Alarms`; what is not finite is undone if it can be
        self.last_terms: dict[str, float] = {}  # what was last logged
        self._running = RunningTerms()

    # --- what a variant may override ---------------------------------------------------------------------------------

    def players(self) -> list[Player]:
        """Return all players, in the order in which they move within a round."""
        return [
            Player("d", self.discriminator, self.discriminator_loss, self.discriminator_lr),
            Player("g", self.generator, self.generator_loss, self.generator_lr, every=self.critic_steps),
        ]

    def sample_latent(self, n: int) -> Tensor:
        """Latents (n, Z) of the training distribution; standard normal unless a variant says otherwise."""
        return torch.randn(n, self.latent_dim, device=self.device)

    def sample_labels(self, n: int) -> Tensor | None:
        """Class indices (n,) for generated images, uniform over the classes; None for an unconditional model."""
        return torch.randint(self.num_classes, (n,), device=self.device) if self.num_classes else None

    def data_resolution(self, progress: int) -> int:
        """Resolution at which real images are wanted after so many images; data modules deliver it."""
        return self.resolution

    def prepare(self, real: Batch) -> Batch:
        """Real images as the discriminator shall see them at this moment."""
        return real

    def generate(self, network: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Images (B, C, H, W) from latents (B, Z). `network` is the generator or its average."""
        images: Tensor = network(z, labels)
        return images

    def fakes(self, z: Tensor, labels: Tensor | None) -> Batch:
        """Generated images for a player's loss, from latents (B, Z) and classes (B,)."""
        return Batch(self.generate(self.generator, z, labels), labels)

    def sample_members(self, n: int) -> Tensor | None:
        """Which part of the averaged generator draws each of n samples, (n,), where it is a mixture; else None."""
        return None

    def score(self, batch: Batch) -> Tensor:
        """Logits (B,) of the discriminator; the higher, the more real."""
        scores: Tensor = self.discriminator(batch.images, batch.labels)
        return scores

    def discriminator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Named, weighted terms whose sum the discriminator minimises."""
        return self.objective.discriminator(self.scores, real, fake)

    def generator_loss(self, real: Batch, fake: Batch) -> Terms:
        """Named, weighted terms whose sum the generator minimises."""
        return self.objective.generator(self.scores, real, fake)

    def on_clock(self, before: int, now: int) -> None:
        """Act on what was crossed when a round moved the progress from `before` to `now`, in images."""

    def configure_optimizer(self, player: Player, parameters: list[nn.Parameter]) -> Optimizer:
        """One player's optimizer: Adam, fused (one kernel for all tensors) where the device has it."""
        return torch.optim.Adam(parameters, lr=player.lr, betas=self.betas, fused=self.device.type in ("cpu", "cuda"))

    # --- the loop ----------------------------------------------------------------------------------------------------

    def scores(self, *batches: Batch) -> tuple[Tensor, ...]:
        """Scores (B,) of each batch, in one pass where no layer couples the images of a batch."""
        if len(batches) == 1 or self.couples_batch:
            return tuple(scored(self, batch) for batch in batches)
        return torch.split(scored(self, Batch.join(batches)), [len(batch) for batch in batches])

    def training_step(self, data: Any, batch_idx: int) -> None:
        """Play one round on one batch: every player whose turn it is moves once."""
        # Seeding per round makes a resumed run draw what the unbroken one would have drawn, gives each rank latents
        # of its own, and keeps whatever metrics and callbacks draw in between from changing the training.
        set_seed(derive_seed("round", self.seed, self.global_rank, self.images_seen), self.device)
        batch = Batch.of(data)
        if self.rounds == 0:
            wanted = self.data_resolution(self.progress)
            check_batch(batch, self.channels, {self.resolution, wanted}, self.num_classes)
        real = self.prepare(batch if self.num_classes else Batch(batch.images))
        optimizers = self.optimizers()
        rate = self.schedule.at(self.progress) * self.lr_factor
        self.rounds += 1
        shown = len(batch) * self.trainer.world_size
        for player, optimizer in zip(self.players(), optimizers if isinstance(optimizers, list) else [optimizers]):
            if self.rounds % player.every == 0:
                self._play(player, optimizer, real, rate)
        if self.rounds % self.critic_steps == 0:  # the generator moved
            self.moving_average.update(self.average, self.generator, shown * self.critic_steps, self.progress + shown)
        self.images_before, self.images_seen = self.images_seen, self.images_seen + shown
        self.on_clock(self.progress - shown, self.progress)
        if self.rounds % max(getattr(self.trainer, "log_every_n_steps", 50), 1) == 0:
            self.log_terms()
            self.log_dict(self.last_terms, logger=False, batch_size=1)  # for progress bars and callbacks that monitor

    def _play(self, player: Player, optimizer: LightningOptimizer, real: Batch, rate: float) -> None:
        """Move one player once."""
        for group in optimizer.param_groups:
            group["lr"] = player.lr * rate
        optimizer.zero_grad()
        shards = real.chunk(self.micro_batches)
        sizes = [len(shard) * player.fakes for shard in shards]
        # Drawn for the whole batch at once, so that the number of micro-batches does not change what is drawn.
        latent_shards = torch.split(self.sample_latent(sum(sizes)), sizes)
        labels = self._labels(player, real)
        label_shards = [None] * len(shards) if labels is None else torch.split(labels, sizes)
        with frozen(self._idle(player)):
            for shard, z, y in zip(shards, latent_shards, label_shards):
                share = len(shard) / len(real)
                terms = player.loss(augmented(shard, self.augment), augmented(self.fakes(z, y), self.augment))
                check_terms(terms, f"{type(self).__name__}, loss of {player.name!r}")
                # Lightning's autocast reaches into the backward pass, where the second derivatives of a penalty would
                # be rounded to bf16. Without it each gradient has the precision of its forward pass.
                with torch.autocast(self.device.type, enabled=False):
                    self.manual_backward(torch.stack([term.float() for term in terms.values()]).sum() * share)
                for name, term in terms.items():
                    self._running.add(f"{player.name}/{name}", term.detach().float() * share, 1 / len(shards))
            if self.trainer.world_size > 1:
                average_gradients(self._owned[player.name])
            optimizer.step()

    def _labels(self, player: Player, real: Batch) -> Tensor | None:
        """Classes (fakes * B,) of the images generated for a player; those for one real image are neighbours."""
        if player.real_labels and self.num_classes:
            assert real.labels is not None  # the first batch was checked
            return real.labels.repeat_interleave(player.fakes)
        return self.sample_labels(len(real) * player.fakes)

    def _idle(self, player: Player) -> list[nn.Parameter]:
        """Parameters of the other players, frozen while this one moves.

        What a user froze before training stays frozen: only parameters that an optimizer owns are touched.
        """
        return [p for name, owned in self._owned.items() if name != player.name for p in owned]

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimizer for each player, over the parameters of its network that are not frozen."""
        self._owned = {p.name: [w for w in p.network.parameters() if w.requires_grad] for p in self.players()}
        return [self.configure_optimizer(p, self._owned[p.name]) for p in self.players()]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip here, where gradients are final; a clip inside the step would see scaled ones."""
        if self.clip_norm:
            nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], self.clip_norm)

    def train(self, mode: bool = True) -> GAN:
        """As `nn.Module.train`, but the average stays in eval mode: it is never trained."""
        super().train(mode)
        self.average.eval()
        return self

    def on_fit_start(self) -> None:
        """Refuse what cannot train a GAN correctly, with the reason."""
        # Lightning warns of every module that is not in training mode; the average never is.
        warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode at the start of training")
        if self.trainer.precision in ("16-mixed", "16-true", "transformer-engine-float16"):
            raise ValueError(
                f"precision={self.trainer.precision!r} is refused: one loss scaler cannot serve two players, and "
                "gradient penalties underflow in float16. Use 'bf16-mixed' or '32-true'"
            )
        if self.trainer.world_size > 1 and not isinstance(self.trainer.strategy, Replicas):
            raise ValueError(
                f"{type(self.trainer.strategy).__name__} cannot train two players that take turns, each with the "
                "other frozen. On several devices use Trainer(strategy=zoo.Replicas(), ...)"
            )
        if not self.hparams:
            raise CheckpointError(
                f"{type(self).__name__} has not recorded its arguments, so its checkpoints could not be loaded. End "
                "its __init__ with self.save_hyperparameters(logger=False)"
            )

    def log_terms(self) -> None:
        """Send the mean of every term since the last call to the loggers, against images seen.

        Raises:
            NonFiniteLossError: when any of them is not finite, unless that will be undone.
        """
        try:
            means = self._running.means(self.trainer.strategy.reduce)
        except NonFiniteLossError:
            if self.can_roll_back:
                return
            raise
        if not means:
            return
        self.last_terms = means
        self._running.clear()
        for logger in self.loggers:
            logger.log_metrics(self.last_terms, step=self.images_seen)

    def on_train_end(self) -> None:
        """Log the rounds since the last log."""
        self.log_terms()

    def assert_finite(self) -> None:
        """Raise NonFiniteLossError unless all losses since the last log and all weights are; asked before saving."""
        self._running.means(self.trainer.strategy.reduce)
        assert_finite(dict(self.named_parameters()))

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock and the class to what Lightning stores; all of it plain values."""
        checkpoint["zoo"] = {"class": f"{type(self).__module__}.{type(self).__qualname__}", **self.clock_state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock; everything scheduled follows from it."""
        found = checkpoint["zoo"]
        self.set_clock(found["images_seen"], found["rounds"], found.get("images_undone", 0))

    # --- using a trained model ---------------------------------------------------------------------------------------

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        labels: sampling.Labels | None = None,
        truncation: float | None = None,
        truncation_by: sampling.TruncationBy = "redrawing",
        batch_size: int = 256,
    ) -> Tensor:
        """Images (n, C, H, W), float32 in [-1, 1], from the averaged generator, on the model's device.

        Every module's mode and every buffer stay as they are, and with a seed so does the global random state.

        Args:
            n: how many.
            seed: the same seed gives the same images; None draws from torch's global random state.
            labels: one class for all, or one for each image; None draws them as in training.
            truncation: redraw each coordinate of the latent that lies outside [-truncation, truncation].
            truncation_by: `scaling` redraws outside [-2, 2] and multiplies by the truncation instead.
            batch_size: images computed at a time; it changes memory, not the images.

        Raises:
            ValueError: for labels that the model does not have, or a truncation that is not positive.
        """
        return sampling.sample(
            self, n, seed=seed, labels=labels, truncation=truncation, truncation_by=truncation_by, batch_size=batch_size
        )
