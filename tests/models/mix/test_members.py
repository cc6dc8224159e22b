"""Members of a mixture: models of the base, with shared weights, buffers and clock, and without names."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.mixtures import BIGGAN, DCGAN, MLP, PROGAN, mix, unequal
from tests.helpers.training import equal, train, weights
from zoo.training.batch import Batch


def test_a_member_draws_what_the_mixture_draws_with_it() -> None:
    model = mix(BIGGAN)
    for i in range(3):
        member = model.member(i)
        assert type(member) is zoo.BigGAN
        assert torch.equal(member.sample(7, seed=i, batch_size=4), model.sample(7, seed=i, component=i, batch_size=4))
    with pytest.raises(ValueError, match=r"component must lie in 0..2; got 3"):
        model.member(3)


def test_a_member_shares_weights_clock_mode_and_trainer(tmp_path: Path) -> None:
    model = mix(MLP, generators=3, discriminators=2)
    member, before = model.member(2), weights(model.member(2))
    assert member.discriminator is model.discriminator.members[0]  # counted through again
    trainer = train(model, 3, tmp_path)
    assert not equal(before, weights(member))
    assert equal(weights(member.average), weights(model.average.members[2]))
    assert member.clock_state() == model.clock_state() == {"images_seen": 24, "rounds": 3, "images_undone": 0}
    assert member.trainer is trainer
    assert not model.eval().member(1).training
    assert model.train().member(1).training
    assert not member.average.training
    assert model.double().member(0).sample_latent(2).device == model.device


def test_a_member_is_saved_and_loaded_as_a_model_of_the_base(tmp_path: Path) -> None:
    model = mix(DCGAN, 2, seed=5)
    model.set_clock(640, rounds=10)
    folder = model.member(1).save_pretrained(tmp_path / "member")
    again = zoo.from_pretrained(folder)
    assert type(again) is zoo.DCGAN
    assert again.hparams["seed"] == 5
    assert again.images_seen == 640
    assert torch.equal(again.sample(4, seed=0), model.sample(4, seed=0, component=1))


def test_a_member_can_be_trained_on_as_a_copy(tmp_path: Path) -> None:
    model = mix(MLP)
    before = weights(model)
    alone_again = copy.deepcopy(model.member(1))
    train(alone_again, 2, tmp_path)
    assert equal(weights(model), before)
    assert alone_again.images_seen == 16
    assert model.images_seen == 0


def test_a_copied_mixture_has_pairs_of_its_own() -> None:
    model = mix(MLP)
    twin = copy.deepcopy(model)
    assert twin.pairs[1][2].generator is twin.generator.members[1]
    assert twin.pairs[1][2].discriminator is twin.discriminator.members[2]
    assert twin.member(0).average is twin.average.members[0]
    assert twin.member(0).clock is twin.clock is not model.clock


def test_only_networks_are_in_the_state() -> None:
    names = {key.split(".")[0] for key in mix(MLP).state_dict()}
    assert names == {"generator", "discriminator", "average"}
    model = mix(PROGAN, 2)
    assert len(list(model.modules())) == len({id(module) for module in model.modules()})
    assert not any(module is pair for module in model.modules() for row in model.pairs for pair in row)


class Counting(zoo.VanillaGAN):
    """User-defined model whose loss keeps a mean in a buffer."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("mean", torch.zeros(()))

    def generator_loss(self, real: Batch, fake: Batch) -> Any:
        self.mean = torch.lerp(self.mean, fake.images.detach().mean(), 0.5)
        return super().generator_loss(real, fake)


def test_buffers_of_a_base_are_shared_by_its_pairs_and_saved(tmp_path: Path) -> None:
    base = {**MLP, "class": "tests.models.mix.test_members.Counting"}
    model = mix(base, 2)
    train(model, 2, tmp_path)
    state = model.state_dict()
    assert {key for key in state if key.startswith("base.")} == {"base.mean"}
    assert state["base.mean"] != 0
    assert all(pair.mean is model.base.mean for row in model.pairs for pair in row)
    again = mix(base, 2)
    again.load_state_dict(state)
    assert torch.equal(again.member(1).get_buffer("mean"), state["base.mean"])


def test_renaming_members_renames_everything_and_changes_nothing_else(tmp_path: Path) -> None:
    plain, renamed = mix(MLP, payoff="full", weight_lr=0.1), mix(MLP, payoff="full", weight_lr=0.1)
    unequal(plain), unequal(renamed)
    order = {"generator": [2, 0, 1], "discriminator": [1, 2, 0]}
    for side, permutation in {**order, "average": order["generator"]}.items():
        theirs, mine = getattr(plain, side), getattr(renamed, side)
        for new, old in enumerate(permutation):
            mine.members[new].load_state_dict(theirs.members[old].state_dict())
        with torch.no_grad():
            mine.log_weights.copy_(theirs.log_weights[permutation])
        mine.step(0.0)
    train(plain, 10, tmp_path)
    train(renamed, 10, tmp_path)
    assert (plain.generator_weights - mix(MLP).generator_weights).abs().max() > 0.01  # something was learnt
    for side, permutation in order.items():
        theirs, mine = getattr(plain, side), getattr(renamed, side)
        torch.testing.assert_close(mine.weights, theirs.weights[permutation], atol=1e-6, rtol=0)
        for new, old in enumerate(permutation):
            for a, b in zip(mine.members[new].parameters(), theirs.members[old].parameters()):
                torch.testing.assert_close(a, b, atol=2e-5, rtol=0)  # sums in another order, through ten Adam steps
