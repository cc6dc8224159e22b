"""Samples, walks and scores of a mixture, and the command that draws from one member."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.mixtures import BIGGAN, MLP, constant, mix, unequal
from tests.helpers.training import equal, weights
from zoo.errors import UserError
from zoo.training.batch import Batch


def test_members_are_sampled_by_weight_and_by_name() -> None:
    model = constant(mix(MLP))
    unequal(model)
    shades = model.sample(20_000, seed=0).flatten(1)[:, 0].mul(2).add(1).round().long()
    shares = shades.bincount(minlength=3) / 20_000
    torch.testing.assert_close(shares, model.average.weights.detach(), atol=0.015, rtol=0)
    for i in range(3):
        torch.testing.assert_close(model.sample(4, component=i, seed=0), torch.full((4, 1, 4, 4), (i - 1) / 2))
    assert torch.equal(model.sample(50, seed=0), model.sample(50, seed=0, batch_size=7))
    with pytest.raises(ValueError, match=r"component must lie in 0..2; got 3"):
        model.sample(1, component=3)
    assert model.sample(0, seed=0).shape == (0, 1, 4, 4)


def test_a_walk_stays_with_one_member() -> None:
    from zoo.sampling.images import interpolate

    walk = interpolate(constant(mix(MLP)), 20, 5, seed=0).flatten(1)[:, 0].view(20, 5)
    assert (walk == walk[:, :1]).all()
    assert len(walk.unique()) == 3


def test_scores_are_the_weighted_mean_of_the_discriminators() -> None:
    model = mix(MLP)
    unequal(model)
    batch = Batch(torch.rand(6, 1, 4, 4))
    each = torch.stack([member(batch.images) for member in model.discriminator.members])
    torch.testing.assert_close(model.score(batch), (each * model.discriminator_weights[:, None]).sum(0))


def test_standing_statistics_are_gathered_for_every_member() -> None:
    from zoo.sampling.standing_statistics import standing_statistics

    model = mix({**BIGGAN, "num_classes": 0, "shared_dim": 0, "skip_latents": False}, 2).eval()
    before = weights(model.average)
    with standing_statistics(model, passes=2, batch_size=8):
        inside = weights(model.average)
        changed = {name.split(".")[1] for name in inside if not torch.equal(inside[name], before[name])}
        assert changed == {"0", "1"}
    assert equal(weights(model.average), before)


def test_the_command_draws_from_one_member(tmp_path: Path) -> None:
    from zoo.sample import sample

    settings: dict[str, Any] = {
        "images": 24,
        "model": {"base": {"width": 4}, "components": 2},
        "data": {"batch_size": 24},
        "trainer": {"accelerator": "cpu"},
        "callbacks": {"SampleGrid": None, "MixtureReport": None},
    }
    run = zoo.fit("mix_dcgan_digits", out=tmp_path / "run", **settings)
    assert sample(str(run.folder), n=4, out=str(tmp_path / "one.png"), component=1).is_file()
    assert sample(str(run.folder), n=2, out=str(tmp_path / "walk.png"), interpolate=3).is_file()
    with pytest.raises(UserError, match=r"component must lie in 0..1; got 2"):
        sample(str(run.folder), component=2)
    with pytest.raises(UserError, match="component: for samples of a MixGAN, without interpolate"):
        sample(str(run.folder), component=1, interpolate=3)
