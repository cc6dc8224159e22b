"""How far a pair of players is from equilibrium: the duality gap.

Of a zero-sum game with payoff V to the discriminator, `max_D' V(G, D') - min_G' V(G', D)` is never negative and is 0 at
an equilibrium only (Grnarova et al. 2019, arXiv:1811.05512). For a mixture G and D are its mixed strategies, and one
pure answer is enough: no mixture answers better (Arora et al. 2017, arXiv:1703.00573, section 4).

Both answers are trained here, so what comes out is an estimate, and from below where training falls short. A fresh
discriminator may also learn the training images by heart, which is no win over the generator. Hence answers are picked
on one half of the held-out images and judged on the other, and both curves are returned.

V is the negative adversarial term of the discriminator's loss, without penalties, as scored in training mode: batch
norm that the two players had in the game they have here. Fresh players train with their own losses; of a game that is
not zero-sum, such as the non-saturating one, V is still the discriminator's payoff, which both losses move in the
same direction.
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
    """How an answer was learnt.

    Args:
        images: seen at each measurement.
        train: V on training images.
        validation: V on the half of the held-out images by which the answer is picked.
    """

    images: list[int] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class DualityGap:
    """An estimate, all of it on held-out images that picked nothing.

    Args:
        value: V of the two players against each other.
        against_discriminator: V of the best fresh discriminator against the generator.
        against_generator: V of the best fresh generator against the discriminator.
        curves: of the answers, side by side with the seeds: `curves["discriminator"][0]`.
    """

    value: float
    against_discriminator: float
    against_generator: float
    curves: dict[str, list[Curve]]

    @property
    def gap(self) -> float:
        """The sum of both gains: 0 at an equilibrium."""
        return self.against_discriminator - self.against_generator

    @property
    def discriminator_gain(self) -> float:
        """What a fresh discriminator wins beyond the present one."""
        return self.against_discriminator - self.value

    @property
    def generator_gain(self) -> float:
        """What a fresh generator takes from the present discriminator beyond the present generator."""
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
    """Train an answer to each side of a model and compare. The model and the global random state stay as they are.

    Args:
        model: any GAN; its live networks are judged, not the average.
        data: a data module, or training and held-out images (N, C, H, W) in [-1, 1] of an unconditional model.
        images: real images that each answer learns from; more bring the estimate up to the gap.
        measure_every: images between measurements.
        batch_size: of training and of measurements.
        evaluation: real, and as many generated, images of each measurement.
        repeats: answers for each side, each with its own initial weights; the best on validation counts.
        seed: of everything drawn.

    Raises:
        ValueError: for numbers out of range, or fewer than two batches of held-out images.
    """
    require_at_least(1, images=images, measure_every=measure_every, evaluation=evaluation, repeats=repeats)
    require_at_least(2, batch_size=batch_size)
    train, held_out = _splits(model, data)
    if len(held_out) < 2 * batch_size:
        raise ValueError(
            f"the duality gap needs two batches of {batch_size} held-out images, to pick and to judge answers; there "
            f"are {len(held_out)}"
        )
    half = len(held_out) // 2
    parts = {"train": train, "validation": held_out.part(0, half), "test": held_out.part(half, len(held_out))}
    with seeded(seed, model.device), torch.enable_grad():
        present = _measure(_opponents(model, None), parts["test"], evaluation, batch_size)
        found: dict[str, float] = {}
        curves: dict[str, list[Curve]] = {}
        for side, sign in (("discriminator", 1), ("generator", -1)):
            best = -float("inf")
            for _ in range(repeats):
                answer = _Answer(model, side, sign, parts, evaluation, batch_size)  # type: ignore[arg-type]
                answer.learn(images, measure_every)
                curves.setdefault(side, []).append(answer.curve)
                if answer.best > best:
                    best, found[side] = answer.best, answer.judged()
    return DualityGap(present, found["discriminator"], found["generator"], curves)


class _Part:
    """Images to draw batches from, at the resolution the model wants."""

    def __init__(self, source: Split | Tensor, rows: Tensor, resolution: int, model: GAN) -> None:
        self.source, self.rows, self.resolution, self.model = source, rows, resolution, model

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> _Part:
        return _Part(self.source, self.rows[start:stop], self.resolution, self.model)

    def batches(self, size: int) -> Iterator[Batch]:
        """Without end, every image once before any comes again."""
        while True:
            order = self.rows[torch.randperm(len(self.rows))]
            for chosen in torch.split(order, size):
                if len(chosen) == size:
                    yield self._at(chosen)

    def _at(self, chosen: Tensor) -> Batch:
        if isinstance(self.source, Tensor):
            return Batch(self.source[chosen].to(self.model.device))
        smaller = None if self.resolution == self.source.pool.images.shape[1] else self.resolution
        batch = self.source.batch(chosen, smaller).to(self.model.device)
        return Batch(to_float(batch.images), batch.labels if self.model.num_classes else None)


def _splits(model: GAN, data: Images | tuple[Tensor, Tensor]) -> tuple[_Part, _Part]:
    if isinstance(data, Images):
        if not hasattr(data, "train"):
            data.prepare_data()
            data.setup("fit")
        sources: Any = (data.train, data.held_out)
    else:
        sources = data
    resolution = model.data_resolution(model.progress)
    found = [_Part(source, torch.arange(len(source)), resolution, model) for source in sources]
    # A random order, fixed: held-out images of most sets lie class by class.
    rows = torch.randperm(len(found[1]), generator=torch.Generator().manual_seed(0))
    return found[0], _Part(sources[1], rows, resolution, model)


def _opponents(model: GAN, fresh: Side | None) -> GAN:
    """A copy of the game with a fresh network on one side, a single one if the model is a mixture."""
    settings = dict(model.hparams)
    if isinstance(model, MixGAN):
        settings |= {"generators": len(model.generator), "discriminators": len(model.discriminator)}
        settings |= {f"{fresh}s": 1} if fresh else {}
    copy = type(model)(**settings).to(model.device).train()
    copy.set_clock(**model.clock_state())
    for side in ("generator", "discriminator"):
        if side != fresh:
            getattr(copy, side).load_state_dict(getattr(model, side).state_dict())
    return copy


def _play(game: GAN, real: Batch, loss: Any, fakes: int = 1, real_labels: bool = False) -> Terms:
    """Terms of one loss on freshly generated images."""
    real = game.prepare(real)
    z = game.sample_latent(len(real) * fakes)
    labels = game.sample_labels(len(real) * fakes)
    if real_labels and game.num_classes and real.labels is not None:
        labels = real.labels.repeat_interleave(fakes)
    terms: Terms = loss(real, game.fakes(z, labels))
    return terms


def _measure(game: GAN, part: _Part, count: int, batch_size: int) -> float:
    """V over `count` images of a part."""
    state = {name: value.clone() for name, value in game.state_dict().items()}  # what batch norm would gather
    total, batches = 0.0, max(1, count // batch_size)
    player = next(p for p in game.players() if p.network is game.discriminator)
    source = part.batches(min(batch_size, len(part)))
    everything = [p for p in game.parameters() if p.requires_grad]
    with frozen(everything):
        for _ in range(batches):
            terms = _play(game, next(source), player.loss, real_labels=player.real_labels)
            total -= float(terms["adversarial"] if "adversarial" in terms else sum(terms.values()))
    game.load_state_dict(state)
    return total / batches


class _Answer:
    """A fresh player against what the model has on the other side."""

    def __init__(
        self, model: GAN, side: Side, sign: int, parts: dict[str, _Part], evaluation: int, batch_size: int
    ) -> None:
        self.game, self.sign, self.parts = _opponents(model, side), sign, parts
        self.evaluation, self.batch_size = evaluation, batch_size
        self.network = getattr(self.game, side)
        self.player = next(p for p in self.game.players() if p.network is self.network)
        self.curve = Curve()
        self.best = -float("inf")
        self._state: dict[str, Tensor] = {}

    def learn(self, images: int, every: int) -> None:
        """Train on so many images; the state that is best on validation is kept."""
        owned = [p for p in self.network.parameters() if p.requires_grad]
        idle = {id(p) for p in owned}
        optimizer = self.game.configure_optimizer(self.player, owned)
        source = self.parts["train"].batches(min(self.batch_size, len(self.parts["train"])))
        seen = measured = 0
        while seen < images:
            with frozen([p for p in self.game.parameters() if p.requires_grad and id(p) not in idle]):
                optimizer.zero_grad()
                real = next(source)
                terms = _play(self.game, real, self.player.loss, self.player.fakes, self.player.real_labels)
                torch.stack([term.float() for term in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            seen += len(real)
            if seen // every > measured or seen >= images:
                measured = seen // every
                self._look(seen)

    def _look(self, seen: int) -> None:
        values = {name: self._value(name) for name in ("train", "validation")}
        self.curve.images.append(seen)
        self.curve.train.append(values["train"])
        self.curve.validation.append(values["validation"])
        if self.sign * values["validation"] > self.best:
            self.best = self.sign * values["validation"]
            self._state = {name: value.clone() for name, value in self.network.state_dict().items()}

    def _value(self, part: str) -> float:
        return _measure(self.game, self.parts[part], self.evaluation, self.batch_size)

    def judged(self) -> float:
        """V of the state that was kept, on images that did not pick it."""
        self.network.load_state_dict(self._state)
        return self._value("test")
