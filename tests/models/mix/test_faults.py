"""Faults in the settings of a mixture, and bases and batches that it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.mixtures import MLP, mix
from tests.helpers.training import Noise, train
from zoo.errors import DataError, UserError
from zoo.models.mix.mixgan import MixGAN


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"base": {"resolution": 16}}, "base needs `class`"),
        ({"base": {"class": "DCGA"}}, "the zoo has no class DCGA. Did you mean DCGAN?"),
        ({"base": {"class": "Digits"}}, "Digits is not a GAN that can be mixed"),
        ({"base": {"class": "MixGAN"}}, "MixGAN is not a GAN that can be mixed"),
        ({"base": {**MLP, "seed": 4}}, "seed is the mixture's, 0; got 4. Leave it out"),
        ({"base": MLP, "components": 0}, "components must be at least 1; got 0"),
        ({"base": MLP, "payoff": "half"}, "payoff is 'shared' or 'full'; got 'half'"),
        ({"base": MLP, "regulariser": "none"}, "regulariser is 'cross_entropy' or 'shannon'; got 'none'"),
        ({"base": MLP, "weight_update": "sgd"}, "weight_update is one of"),
    ],
)
def test_faults_say_what_to_do(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises((ValueError, UserError)) as caught:
        MixGAN(**settings)
    assert fault in str(caught.value)


def test_a_base_with_a_third_player_is_refused() -> None:
    with pytest.raises(ValueError, match=r"parameters outside its generator and discriminator \(encoder"):
        mix({**MLP, "class": "tests.models.mix.test_faults.Third"})


class Third(zoo.VanillaGAN):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.encoder = torch.nn.Linear(2, 2)


def test_a_batch_too_small_to_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"9 images in a pass leave fewer than 2 for each of 5 generators. Raise data.batch_size"
    ):
        train(mix(MLP, 5), 1, tmp_path, Noise((1, 4, 4), batch_size=9))
    train(mix(MLP, 5, payoff="full"), 1, tmp_path, Noise((1, 4, 4), batch_size=4))
