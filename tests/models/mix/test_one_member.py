"""A mixture of one member is its base to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.mixtures import BIGGAN, DCGAN, DEEP, MLP, PROGAN, WGAN, alone, mix
from tests.helpers.training import equal, train, weights
from zoo.training.batch import Batch


class Seeking(zoo.DCGAN):
    """User-defined model whose generator loss draws latents and generates with them."""

    def generator_loss(self, real: Batch, fake: Batch) -> Any:
        pair = [self.generate(self.generator, self.sample_latent(len(real)), fake.labels) for _ in range(2)]
        return {**super().generator_loss(real, fake), "seeking": -0.1 * (pair[0] - pair[1]).abs().mean()}


@pytest.mark.parametrize(
    ("base", "loop", "rounds"),
    [
        (MLP, {"clip_norm": 0.5, "dropout": 0.3, "r1": 0.1}, 6),
        (MLP, {"objective": "relativistic", "r1": 0.1, "r2": 0.2, "penalty_every": 2, "generator_steps": 2}, 6),
        (DCGAN, {"num_classes": 3, "lr_schedule": "linear", "lr_horizon": 200, "critic_steps": 2}, 6),
        (DCGAN, {"augment": ("color", "translation"), "betas": (0.2, 0.9), "lr_warmup": 40, "clip_norm": 1.0}, 4),
        (WGAN, {}, 5),
        (WGAN, {"num_classes": 3, "micro_batches": 2}, 5),
        (PROGAN, {}, 18),
        (BIGGAN, {"micro_batches": 2, "average_start": 16}, 4),
        (DEEP, {}, 4),
        ({**DCGAN, "class": "tests.models.mix.test_one_member.Seeking"}, {}, 4),
    ],
    ids=[
        "vanilla",
        "relativistic",
        "dcgan",
        "dcgan augmented",
        "wgan-gp",
        "wgan-gp with classes",
        "progan",
        "biggan",
        "biggan-deep",
        "own",
    ],
)
@pytest.mark.parametrize("payoff", ["shared", "full"])
def test_one_member_is_the_base_to_the_last_bit(
    base: dict[str, Any], loop: dict[str, Any], rounds: int, payoff: Any, tmp_path: Path
) -> None:
    one, model = alone(base, seed=3, **loop), mix(base, 1, loop=loop, payoff=payoff, seed=3)
    train(one, rounds, tmp_path, log_every_n_steps=1)
    train(model, rounds, tmp_path, log_every_n_steps=1)
    assert one.images_seen == model.images_seen
    if "hold_images" in base:
        assert isinstance(one, zoo.ProGAN)
        assert one.stage.resolution == 16  # it has grown twice
    for theirs, ours in (
        ("generator", model.generator),
        ("discriminator", model.discriminator),
        ("average", model.average),
    ):
        assert equal(weights(getattr(one, theirs)), weights(ours.members[0])), theirs
    assert one.last_terms == {name: value for name, value in model.last_terms.items() if not name.startswith("mixture")}
    assert torch.equal(one.sample(5, seed=1), model.sample(5, seed=1))


def test_one_member_under_the_optimizer_is_the_base_too(tmp_path: Path) -> None:
    one, model = alone(MLP, clip_norm=0.1), mix(MLP, 1, loop={"clip_norm": 0.1}, weight_update="optimizer")
    train(one, 4, tmp_path)
    train(model, 4, tmp_path)
    assert equal(weights(one.generator), weights(model.generator.members[0]))


def test_the_first_member_starts_as_the_base_and_the_others_do_not() -> None:
    one, model = alone(DCGAN), mix(DCGAN)
    first, second, third = (weights(member) for member in model.generator.members)
    assert equal(first, weights(one.generator))
    assert not equal(first, second)
    assert not equal(second, third)
    again = mix(DCGAN)
    assert equal(weights(model), weights(again))
