"""Tests of what a mixture hands on from its base and to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import train
from zoo.training.objectives import Terms

HERE = __name__
SMALL: dict[str, Any] = {"resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
seen: list[Any] = []


@pytest.fixture(autouse=True)
def none_seen() -> None:
    seen.clear()


class Scheduled(zoo.DCGAN):
    """Base with schedules that set attributes of the model, which its losses read."""

    phase = 0

    def before_round(self, progress: int) -> None:
        self.share = progress / 8

    def prepare(self, real: zoo.Batch) -> zoo.Batch:
        self.brightness = real.images.mean()
        return real

    def on_clock(self, before: int, now: int) -> None:
        self.phase = now

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        seen.append((self.share, self.phase, self.brightness is not None))
        return super().discriminator_loss(real, fake)


@pytest.mark.parametrize("payoff", ["shared", "full"])
def test_all_pairs_follow_the_schedules_of_the_base(payoff: Any, tmp_path: Path) -> None:
    model = zoo.MixGAN({"class": f"{HERE}.Scheduled", **SMALL}, components=2, payoff=payoff)
    train(model, 2, tmp_path)
    losses = 2 if payoff == "shared" else 4
    assert seen == [(0.0, 0, True)] * losses + [(1.0, 8, True)] * losses


class Classes(zoo.BigGAN):
    """Base that records the classes of real and generated images."""

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        seen.append((real.labels, fake.labels))
        return super().discriminator_loss(real, fake)


@pytest.mark.parametrize("objective", ["relativistic", "hinge"])
def test_pairs_of_a_relativistic_loss_have_one_class_whatever_the_weights(objective: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = {"latent_dim": 9, "num_classes": 3, "shared_dim": 5, "attention": 0, "objective": objective}
    model = zoo.MixGAN({"class": f"{HERE}.Classes", **SMALL, **settings}, components=2)
    with torch.no_grad():
        model.generator.weights.copy_(torch.tensor([0.8, 0.2]))
    train(model, 1, tmp_path)
    same = [torch.equal(real, fake) for real, fake in seen]
    assert same == [objective == "relativistic"] * 2


class Clips(zoo.DCGAN):
    """Base with a hook of Lightning."""

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        raise AssertionError("never called by a mixture")


class Steps(zoo.DCGAN):
    """Base with a loop of its own."""

    def training_step(self, data: Any, batch_idx: int) -> None:
        raise AssertionError("never called by a mixture")


@pytest.mark.parametrize(("name", "method"), [("Clips", "on_before_optimizer_step"), ("Steps", "training_step")])
def test_a_base_whose_loop_would_be_left_out_is_refused(name: str, method: str) -> None:
    with pytest.raises(ValueError, match=rf"base: .*{name} overrides {method}, which a MixGAN would leave out.*alone"):
        zoo.MixGAN({"class": f"{HERE}.{name}", **SMALL}, components=2)
