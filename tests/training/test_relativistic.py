"""The relativistic objective, the penalties on real and generated images, and their place in a round."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor

import zoo
from tests.helpers.training import tiny_dcgan, tiny_mlp, train
from zoo.training.batch import Batch
from zoo.training.objectives import OBJECTIVES, Objective, Relativistic, Wasserstein, objective, paired


def batches(n: int = 4, size: int = 4, classes: int = 0) -> tuple[Batch, Batch]:
    """Return random batches of real and generated images."""
    labels = torch.arange(n) % classes if classes else None
    return Batch(torch.randn(n, 1, size, size), labels), Batch(torch.randn(n, 1, size, size), labels)


def test_loss_and_gradients_equal_a_loop_over_pairs() -> None:
    model = tiny_mlp(objective="relativistic", r1=0.7, r2=0.3)
    real, fake = batches()
    weights = list(model.discriminator.parameters())
    terms = model.discriminator_loss(real, fake)
    found = torch.autograd.grad(sum(terms.values()), weights)

    total = torch.zeros(())
    for i in range(4):
        x, y = (batch.images[i : i + 1].clone().requires_grad_(True) for batch in (real, fake))
        d_x, d_y = model.score(Batch(x)), model.score(Batch(y))
        (by_x,) = torch.autograd.grad(d_x.sum(), x, create_graph=True)
        (by_y,) = torch.autograd.grad(d_y.sum(), y, create_graph=True)
        one = torch.log(1 + torch.exp(-(d_x - d_y))).sum()
        total = total + (one + 0.7 / 2 * by_x.square().sum() + 0.3 / 2 * by_y.square().sum()) / 4
    torch.testing.assert_close(sum(terms.values()), total)
    for ours, theirs in zip(found, torch.autograd.grad(total, weights)):
        torch.testing.assert_close(ours, theirs)


def test_the_generator_minimises_the_same_with_the_sign_turned() -> None:
    model = tiny_mlp(objective="relativistic")
    real, fake = batches()
    fake.images.requires_grad_(True)
    (loss,) = model.generator_loss(real, fake).values()
    gaps = (model.score(fake) - model.score(real)).tolist()
    assert loss.item() == pytest.approx(sum(math.log(1 + math.exp(-gap)) for gap in gaps) / 4, rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, fake.images)
    (by_image,) = torch.autograd.grad(model.score(fake).sum(), fake.images)
    for i, gap in enumerate(gaps):  # d softplus(-gap) / d gap = -sigmoid(-gap)
        torch.testing.assert_close(gradient[i], -by_image[i] / (1 + math.exp(gap)) / 4)


def test_only_differences_of_scores_matter_and_equal_scores_give_log_2() -> None:
    loss = Relativistic()
    real, fake = torch.randn(6), torch.randn(6)
    torch.testing.assert_close(loss.discriminator_value(real + 5, fake + 5), loss.discriminator_value(real, fake))
    torch.testing.assert_close(loss.generator_value(fake + 5, real + 5), loss.generator_value(fake, real))
    assert float(loss.discriminator_value(real, real)) == pytest.approx(math.log(2))


def test_several_generated_images_are_paired_with_the_real_image_they_belong_to() -> None:
    real, fake = paired(torch.tensor([1.0, 2.0]), torch.arange(6.0))
    assert real.tolist() == [1, 1, 1, 2, 2, 2]
    assert fake.tolist() == [0, 1, 2, 3, 4, 5]
    real, fake = paired(torch.arange(3.0), torch.tensor([7.0]))
    assert (real.tolist(), fake.tolist()) == ([0, 1, 2], [7, 7, 7])


class Linear(torch.nn.Module):
    """Discriminator whose gradient by every image is its weight."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(*shape))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return (images * self.weight).flatten(1).sum(1)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
@pytest.mark.parametrize(("r1", "r2"), [(0.0, 0.0), (3.0, 0.0), (0.0, 5.0), (3.0, 5.0)])
def test_penalties_of_a_linear_critic_in_closed_form(name: str, r1: float, r2: float) -> None:
    model = tiny_mlp(objective=name, r1=r1, r2=r2)
    model.discriminator = critic = Linear(1, 4, 4)
    real, fake = batches(5)
    terms = model.discriminator_loss(real, fake)
    norm = critic.weight.square().sum()
    assert set(terms) == {"adversarial"} | ({"r1"} if r1 else set()) | ({"r2"} if r2 else set())
    for term, weight in (("r1", r1), ("r2", r2)):
        if weight:
            torch.testing.assert_close(terms[term], weight / 2 * norm)
            (gradient,) = torch.autograd.grad(terms[term], critic.weight, retain_graph=True)
            torch.testing.assert_close(gradient, weight * critic.weight.detach())
    r, f = (batch.images.flatten(1) @ critic.weight.flatten() for batch in (real, fake))
    torch.testing.assert_close(terms["adversarial"], objective(name).discriminator_value(r, f))


class Passes(zoo.VanillaGAN):
    """Model that counts the images in each pass of its discriminator."""

    def score(self, batch: zoo.Batch) -> Tensor:
        self.__dict__.setdefault("seen", []).append((len(batch), batch.images.requires_grad))
        return super().score(batch)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [({}, [(8, False)]), ({"r1": 1.0, "r2": 1.0}, [(8, True)]), ({"r1": 1.0}, [(4, True), (4, False)])],
)
def test_scores_and_penalties_come_from_the_same_passes(weights: Any, expected: list[tuple[int, bool]]) -> None:
    model = Passes(resolution=4, width=4, discriminator_width=4, objective="relativistic", **weights)
    model.discriminator_loss(*batches())
    assert model.seen == expected


def test_a_network_that_couples_a_batch_scores_real_and_generated_images_apart() -> None:
    model = tiny_dcgan(objective="relativistic", r1=1.0, r2=2.0)
    real, fake = batches(6, 16)
    terms = model.discriminator_loss(real, fake)
    for term, batch, weight in (("r1", real, 1.0), ("r2", fake, 2.0)):
        images = batch.images.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(model.score(Batch(images)).sum(), images)
        torch.testing.assert_close(terms[term], weight / 2 * gradient.square().sum() / 6)


class Terms(Callback):
    """Callback that records gradients of the discriminator and the factor on its penalties."""

    def __init__(self) -> None:
        self.gradients: list[list[Tensor]] = []
        self.factors: list[float] = []

    def on_before_optimizer_step(self, trainer: Any, model: Any, optimizer: Any) -> None:
        if trainer.optimizers.index(getattr(optimizer, "_optimizer", optimizer)) == 0:
            self.gradients.append([p.grad.clone() for p in model.discriminator.parameters()])
            self.factors.append(model.objective.penalty_factor)


@pytest.mark.parametrize("penalised", [Relativistic(r1=2.0, r2=3.0), Wasserstein(penalty=7.0)])
def test_lazy_penalties_have_the_same_gradient_on_average(penalised: Objective, tmp_path: Path) -> None:
    found = []
    for every in (1, 4):
        model = tiny_mlp(penalty_every=every, discriminator_lr=0.0, generator_lr=0.0)
        model.objective = penalised
        torch.manual_seed(0)
        model.discriminator = Linear(1, 4, 4)  # the gradient of its penalties is the same for all images
        seen = Terms()
        train(model, 8, tmp_path, callbacks=[seen])
        found.append(seen)
    always, lazy = (torch.stack([torch.cat([g.flatten() for g in each]) for each in seen.gradients]) for seen in found)
    assert found[0].factors == [1.0] * 8
    assert found[1].factors == [0.0, 0.0, 0.0, 4.0] * 2
    for i in range(8):
        assert not torch.allclose(always[i], lazy[i])
    torch.testing.assert_close(always.mean(0), lazy.mean(0))


def test_the_mean_of_a_logged_penalty_does_not_depend_on_how_often_it_is_computed(tmp_path: Path) -> None:
    logged = []
    for every in (1, 4):
        model = tiny_mlp(penalty_every=every, r1=2.0, discriminator_lr=0.0, generator_lr=0.0)
        model.discriminator = Linear(1, 4, 4)
        torch.nn.init.ones_(model.discriminator.weight)
        train(model, 8, tmp_path, log_every_n_steps=8)
        logged.append(model.last_terms["d/r1"])
    assert logged == pytest.approx([16.0, 16.0])


def test_the_images_of_a_pair_have_one_class(tmp_path: Path) -> None:
    model = tiny_dcgan(objective="relativistic", num_classes=3)
    assert [player.real_labels for player in model.players()] == [True, True]
    assert [player.real_labels for player in tiny_dcgan(num_classes=3).players()] == [False, False]
    torch.manual_seed(0)
    critic = zoo.WGANGP(
        resolution=16, width=4, channels=1, num_classes=3, latent_dim=3, objective="relativistic", r1=1.0, r2=1.0
    )
    assert [player.fakes for player in critic.players()] == [1, 2]
    train(critic, 5, tmp_path)
    assert critic.rounds == 5


def test_two_generator_steps_move_it_twice_on_the_same_real_images(tmp_path: Path) -> None:
    model = tiny_mlp(generator_steps=2, critic_steps=3)
    trainer = train(model, 6, tmp_path)
    steps = [int(next(iter(optimizer.state.values()))["step"]) for optimizer in trainer.optimizers]
    assert steps == [6, 4]
    with pytest.raises(ValueError, match="generator_steps must be at least 1; got 0"):
        tiny_mlp(generator_steps=0)


class Scheduled(zoo.VanillaGAN):
    """Model whose penalty follows the images seen."""

    def before_round(self, progress: int) -> None:
        self.__dict__.setdefault("seen", []).append(progress)
        assert self.objective is not None
        self.objective.r1 = progress / 8


@pytest.mark.parametrize("mixed", [False, True])
def test_before_round_is_called_with_the_progress_and_may_set_penalties(mixed: bool, tmp_path: Path) -> None:
    settings = {"resolution": 4, "width": 4, "discriminator_width": 4, "latent_dim": 3}
    base = {"class": "tests.training.test_relativistic.Scheduled", **settings}
    model: zoo.GAN = zoo.MixGAN(base, components=2) if mixed else Scheduled(**settings)
    train(model, 4, tmp_path)
    first = model.pairs[0][0] if isinstance(model, zoo.MixGAN) else model
    assert first.seen == [0, 8, 16, 24]
    assert model.objective is not None
    assert model.objective.r1 == 3.0


def test_weights_that_nobody_would_use_are_refused() -> None:
    with pytest.raises(ValueError, match="r2 must be at least 0; got -1"):
        tiny_mlp(r2=-1)
    with pytest.raises(ValueError, match=r"r1=1: this model has losses of its own \(objective=None\)"):
        zoo.GAN(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), None, resolution=4, channels=1, latent_dim=1, r1=1)
    with pytest.raises(ValueError, match=r"objective is one of .*relativistic; got 'relativistc'. Did you mean"):
        tiny_mlp(objective="relativistc")
