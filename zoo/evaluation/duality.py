"""Duality gap: the distance of a pair of players from equilibrium (Grnarova et al. 2019, arXiv:1811.05512).

In a zero-sum game with payoff V(G, D) to the discriminator, the gap is

    gap = max_D' V(G, D') - min_G' V(G', D)

It is never negative, and 0 only at an equilibrium. For a mixture, G and D are its mixed strategies, and one network is
a sufficient best response: no mixture does better (Arora et al. 2017, arXiv:1703.00573, section 4).

Both best responses are trained, so the result is an estimate, from below if training falls short. A new discriminator
can also memorise the training images, which is not a gain against the generator. Best responses are therefore selected
on one half of the held-out images and evaluated on the other; their training curves are returned.

V is the negative adversarial term of the discriminator's loss, without penalties, with both networks in training mode,
so that batch norm works as in training. New players are trained with their own losses. If the game is not zero-sum, as
with the non-saturating loss, V is still the discriminator's payoff, and both losses move it in the same direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from zoo.data import Images, Split
from zoo.data.pool import to_float
from zoo.errors import require_at_least
from zoo.gan import GAN
from zoo.models.mix.mixgan import MixGAN
from zoo.training.batch import Batch
from zoo.training.freezing import frozen
from zoo.training.objectives import Terms
from zoo.training.seeding import seeded

Side = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Curve:
    """Payoff V to the discriminator, measured while a new player is trained against the model's other player.

    Args:
        images: real images that the new player has been trained on, at each measurement.
        train: V on training images at each measurement.
        validation: V at each measurement on one half of the held-out images, by which the best state is selected.
    """

    images: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class DualityGap:
    """Estimate of the duality gap; all payoffs are on held-out images that were not used to select best responses.

    Args:
        value: payoff V of the two players against each other.
        against_discriminator: payoff V of the best new discriminator against the generator.
        against_generator: payoff V of the best new generator against the discriminator.
        curves: training curves of the best responses of each side, one for each repeat:
            `curves["discriminator"][0]`.
    """

    value: float
    against_discriminator: float
    against_generator: float
    curves: dict[str, list[Curve]]

    @property
    def gap(self) -> float:
        """The duality gap, the sum of both gains; 0 at an equilibrium."""
        return self.against_discriminator - self.against_generator

    @property
    def discriminator_gain(self) -> float:
        """The payoff that a new discriminator gains over the current one."""
        return self.against_discriminator - self.value

    @property
    def generator_gain(self) -> float:
        """The payoff that a new generator takes from the current discriminator, compared with the current generator."""
        return self.value - self.against_generator


def duality_gap(
    model: GAN,
    data: Images | tuple[Tensor, Tensor],
    *,
    images: int = 50_000,
    measure_every: int = 5_000,
    batch_size: int = 64,
    evaluation: int = 1_024,
    repeats: int = 1,
    seed: int = 0,
) -> DualityGap:
    """Estimate the duality gap of a model by training a best response to each of its players.

    The model and the global random state are left unchanged.

    Args:
        model: any GAN; its live networks are evaluated, not the EMA generator.
        data: a data module, or training and held-out images (N, C, H, W) in [-1, 1] for an unconditional model.
        images: number of real images that each best response is trained on; the estimate rises with it towards the gap.
        measure_every: number of images between measurements.
        batch_size: batch size of training and of measurements.
        evaluation: number of real images, and of generated images, in each measurement.
        repeats: number of best responses per side, each with its own initial weights; the one that is best on the half
            of the held-out images for selection is used.
        seed: seed of all random draws.

    Raises:
        ValueError: if a number is out of range, or there are fewer than two batches of held-out images.
    """
    require_at_least(1, images=images, measure_every=measure_every, evaluation=evaluation, repeats=repeats)
    require_at_least(2, batch_size=batch_size)
    train, held_out = _splits(model, data)
    if len(held_out) < 2 * batch_size:
        raise ValueError(
            f"the duality gap needs two batches of {batch_size} held-out images, one to select best responses and one "
            f"to evaluate them; there are {len(held_out)}. Hold out more images, or lower batch_size"
        )
    half = len(held_out) // 2
    parts = {"train": train, "validation": held_out.part(0, half), "test": held_out.part(half, len(held_out))}
    with seeded(seed, model.device), torch.enable_grad():
        value = _measure(_copy_of_game(model, None), parts["test"], evaluation, batch_size)
        best_values: dict[str, float] = {}
        curves: dict[str, list[Curve]] = {}
        for side, sign in (("discriminator", 1), ("generator", -1)):
            best = -float("inf")
            for _ in range(repeats):
                response = _BestResponse(model, side, sign, parts, evaluation, batch_size)  # type: ignore[arg-type]
                response.train(images, measure_every)
                curves.setdefault(side, []).append(response.curve)
                if not response.best <= best:  # also if it is not a number, so that the gap is none either
                    best, best_values[side] = response.best, response.test_value()
    return DualityGap(value, best_values["discriminator"], best_values["generator"], curves)


class _ImageSet:
    """Images to draw batches from, at the model's current resolution."""

    def __init__(self, source: Split | Tensor, rows: Tensor, resolution: int, model: GAN) -> None:
        self.source, self.rows, self.resolution, self.model = source, rows, resolution, model

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> _ImageSet:
        return _ImageSet(self.source, self.rows[start:stop], self.resolution, self.model)

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield random batches without end; each pass uses every image at most once."""
        while True:
            order = self.rows[torch.randperm(len(self.rows))]
            for chosen in torch.split(order, size):
                if len(chosen) == size:
                    yield self._at(chosen)

    def _at(self, chosen: Tensor) -> Batch:
        if isinstance(self.source, Tensor):
            return Batch(to_float(self.source[chosen].to(self.model.device)))
        smaller = None if self.resolution == self.source.pool.images.shape[1] else self.resolution
        batch = self.source.batch(chosen, smaller).to(self.model.device)
        return Batch(to_float(batch.images), batch.labels if self.model.num_classes else None)


def _splits(model: GAN, data: Images | tuple[Tensor, Tensor]) -> tuple[_ImageSet, _ImageSet]:
    """Return training images, and held-out images in a random order."""
    resolution = model.data_resolution(model.progress)
    if isinstance(data, Images):
        if not hasattr(data, "train"):
            data.prepare_data()
            data.setup("fit")
        sources: Any = (data.train, data.held_out)
    else:
        sources = data
        for name, images in zip(("training", "held-out"), data):
            _check_tensor(to_float(images), name, model, resolution)
    train, held_out = (_ImageSet(source, torch.arange(len(source)), resolution, model) for source in sources)
    # The order is random and fixed, since the held-out images of most data sets are sorted by class.
    rows = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))
    return train, _ImageSet(sources[1], rows, resolution, model)


def _check_tensor(images: Tensor, name: str, model: GAN, resolution: int) -> None:
    """Check float images that are given as a tensor, at the resolution that the model has reached.

    Raises:
        ValueError: for a conditional model, or images that do not fit it.
    """
    if model.num_classes:
        raise ValueError(
            f"{type(model).__name__} has {model.num_classes} classes, which tensors of images do not tell; give a data "
            "module instead"
        )
    shape = (model.channels, resolution, resolution)
    if images.shape[1:] != shape:
        raise ValueError(f"the {name} images must be (N, {', '.join(map(str, shape))}); got {tuple(images.shape)}")
    low, high = (float(value) for value in images.aminmax())
    if resolution > 1 and not (low >= -1.01 and high <= 1.01):  # points of a plane have no range
        raise ValueError(f"the {name} images must be float in [-1, 1]; got values from {low:g} to {high:g}")


def _copy_of_game(model: GAN, new_side: Side | None) -> GAN:
    """Copy a model, with a new network on one side (a single one if the model is a mixture) or on none."""
    settings = dict(model.hparams)
    if isinstance(model, MixGAN):
        for side in ("generator", "discriminator"):
            settings[f"{side}s"] = 1 if side == new_side else len(getattr(model, side))
    copy = type(model)(**settings).to(model.device).train()
    copy.set_clock(**model.clock_state())
    sides = tuple(f"{side}." for side in ("generator", "discriminator") if side != new_side)
    state = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(sides)}
    copy.load_state_dict({**copy.state_dict(), **state})
    return copy


def _play(game: GAN, real: Batch, loss: Any, fakes: int = 1, real_labels: bool = False) -> Terms:
    """Compute the terms of a player's loss on real images and newly generated ones.

    Args:
        game: the game.
        real: real images.
        loss: the player's loss, a function of real and generated images.
        fakes: number of generated images for each real one.
        real_labels: whether generated images get the classes of the real ones, if the model is conditional.
    """
    real = game.prepare(real)
    z = game.sample_latent(len(real) * fakes)
    labels = game.sample_labels(len(real) * fakes)
    if real_labels and game.num_classes and real.labels is not None:
        labels = real.labels.repeat_interleave(fakes)
    terms: Terms = loss(real, game.fakes(z, labels))
    return terms


def _measure(game: GAN, images: _ImageSet, count: int, batch_size: int) -> float:
    """Measure V on about `count` real images, in whole batches, and as many generated ones."""
    state = {name: value.clone() for name, value in game.state_dict().items()}  # batch norm updates its averages
    total, batches = 0.0, max(1, count // batch_size)
    player = next(p for p in game.players() if p.network is game.discriminator)
    source = images.batches(min(batch_size, len(images)))
    with frozen([p for p in game.parameters() if p.requires_grad]):
        for _ in range(batches):
            terms = _play(game, next(source), player.loss, real_labels=player.real_labels)
            total -= float(terms["adversarial"] if "adversarial" in terms else sum(terms.values()))
    game.load_state_dict(state)
    return total / batches


class _BestResponse:
    """A new player, trained against the model's other side.

    Args:
        model: the model.
        side: side of the new player.
        sign: 1 if the player maximises V, -1 if it minimises V.
        parts: images by name: `train`, `validation` (to select the best state), `test`.
        evaluation: number of real images in each measurement.
        batch_size: batch size of training and of measurements.
    """

    def __init__(
        self, model: GAN, side: Side, sign: int, parts: dict[str, _ImageSet], evaluation: int, batch_size: int
    ) -> None:
        self.game, self.sign, self.parts = _copy_of_game(model, side), sign, parts
        self.evaluation, self.batch_size = evaluation, batch_size
        self.network = getattr(self.game, side)
        self.player = next(p for p in self.game.players() if p.network is self.network)
        self.curve = Curve()
        self.best = -float("inf")
        self._state: dict[str, Tensor] = {}

    def train(self, images: int, every: int) -> None:
        """Train on real images and keep the state that is best on the validation images.

        Args:
            images: number of real images to train on.
            every: number of images between measurements.
        """
        owned = [p for p in self.network.parameters() if p.requires_grad]
        owned_ids = {id(p) for p in owned}
        optimizer = self.game.configure_optimizer(self.player, owned)
        source = self.parts["train"].batches(min(self.batch_size, len(self.parts["train"])))
        seen = measured = 0
        while seen < images:
            with frozen([p for p in self.game.parameters() if p.requires_grad and id(p) not in owned_ids]):
                optimizer.zero_grad()
                real = next(source)
                terms = _play(self.game, real, self.player.loss, self.player.fakes, self.player.real_labels)
                torch.stack([term.float() for term in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            seen += len(real)
            if seen // every > measured or seen >= images:
                measured = seen // every
                self._measure_and_keep_best(seen)

    def _measure_and_keep_best(self, seen: int) -> None:
        values = {name: self._value(name) for name in ("train", "validation")}
        self.curve.images.append(seen)
        self.curve.train.append(values["train"])
        self.curve.validation.append(values["validation"])
        if not self.sign * values["validation"] <= self.best:  # also if it is not a number
            self.best = self.sign * values["validation"]
            self._state = {name: value.clone() for name, value in self.network.state_dict().items()}

    def _value(self, part: str) -> float:
        return _measure(self.game, self.parts[part], self.evaluation, self.batch_size)

    def test_value(self) -> float:
        """Return V of the best state on the test images, which did not select it."""
        self.network.load_state_dict(self._state)
        return self._value("test")
