"""Tests of which weights stand still while a player moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from torch import nn

import zoo
from tests.helpers.training import equal, tiny_mlp, train, weights
from zoo.training.freezing import frozen
from zoo.training.objectives import Terms


def test_only_what_could_be_trained_can_be_trained_afterwards() -> None:
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    layers[0].requires_grad_(False)
    with frozen([*layers.parameters()]):
        assert not any(weight.requires_grad for weight in layers.parameters())
    assert [weight.requires_grad for weight in layers.parameters()] == [False, False, True, True]


class Freezes(Callback):
    """Callback that freezes the first layer of the discriminator when training starts, as in FreezeD."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        pl_module.discriminator.body[1].requires_grad_(False)


def test_a_layer_that_a_callback_freezes_stays_frozen(tmp_path: Path) -> None:
    model: Any = tiny_mlp()
    first, last = model.discriminator.body[1], model.discriminator.body[-1]
    before, before_last = weights(first), weights(last)
    train(model, 3, tmp_path, callbacks=[Freezes()])
    assert equal(before, weights(first))
    assert not equal(before_last, weights(last))
    assert not any(weight.requires_grad for weight in first.parameters())


class Informed(zoo.VanillaGAN):
    """Model whose third player trains the generator together with a head that guesses the latents."""

    def __init__(self, **vanilla: Any) -> None:
        super().__init__(**vanilla)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        self.save_hyperparameters(logger=False)

    def players(self) -> list[zoo.Player]:
        both = nn.ModuleList([self.generator, self.head])
        return [*super().players(), zoo.Player("i", both, self.information, 1e-3)]

    def information(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        return {"latents": (self.head(fake.images) - fake.latents).square().mean()}


def test_players_may_share_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Informed(resolution=4, channels=1, latent_dim=3, width=8)
    before, discriminator = weights(model.generator), weights(model.discriminator)
    train(model, 2, tmp_path)
    assert not equal(before, weights(model.generator))
    assert not equal(discriminator, weights(model.discriminator))
