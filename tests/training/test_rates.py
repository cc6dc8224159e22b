"""Tests of the learning rates of an optimizer that a variant makes itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Adam, Optimizer

import zoo
from tests.helpers.training import tiny_mlp, train
from zoo.training.rates import set_learning_rate

SMALL: dict[str, Any] = {"resolution": 4, "channels": 1, "latent_dim": 3, "layers": 1, "width": 8}


class SlowFirstLayer(zoo.VanillaGAN):
    """Model whose first layer learns at a hundredth of the rate, as a mapping network does."""

    def configure_optimizer(self, player: zoo.Player, parameters: list[nn.Parameter]) -> Optimizer:
        groups: list[dict[str, Any]] = [{"params": parameters[:2], "lr": 0.01 * player.lr}, {"params": parameters[2:]}]
        return Adam(groups, lr=player.lr)


def test_groups_keep_their_shares_of_the_learning_rate(tmp_path: Path) -> None:
    model = SlowFirstLayer(**SMALL, generator_lr=1e-2, lr_schedule="linear", lr_horizon=32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", message=".*num_workers.*|.*tensorboard.*")
        trainer = train(model, 3, tmp_path)  # the last round began after 16 of 32 images
    assert [group["lr"] for group in trainer.optimizers[1].param_groups] == pytest.approx([0.5e-4, 0.5e-2])


class OwnRate(zoo.VanillaGAN):
    """Model with an optimizer whose learning rate is not the player's."""

    def configure_optimizer(self, player: zoo.Player, parameters: list[nn.Parameter]) -> Optimizer:
        return torch.optim.RMSprop(parameters, lr=5e-5)


def test_a_rate_without_effect_is_said(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"OwnRate.configure_optimizer gave the player 'd'.*lr=5e-05.*the player's, 0.01"
    ):
        trainer = train(OwnRate(**SMALL, generator_lr=1e-2, discriminator_lr=1e-2), 1, tmp_path)
    assert trainer.optimizers[0].param_groups[0]["lr"] == 1e-2


def test_a_group_that_was_added_later_has_the_whole_rate() -> None:
    optimizer = Adam([nn.Parameter(torch.zeros(1))])
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    set_learning_rate(optimizer, [0.5], 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.1]


def test_the_plain_optimizer_has_exactly_the_rates_of_its_player(tmp_path: Path) -> None:
    trainer = train(tiny_mlp(generator_lr=3e-4, discriminator_lr=7e-4), 1, tmp_path)
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [7e-4, 3e-4]
