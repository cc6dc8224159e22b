"""Mixtures in training: exact resume, weights that learn, and what is logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.mixtures import MLP, mix
from tests.helpers.training import Noise, bits, identical, train
from zoo.io.run_folder import checkpoints_in
from zoo.models.mix.mixgan import MixGAN


@pytest.mark.parametrize(
    ("base", "payoff", "update"),
    [
        ("DCGAN", "shared", "exponentiated_gradient"),
        ("DCGAN", "full", "optimizer"),
        ("ProGAN", "shared", "exponentiated_gradient"),
    ],
)
def test_a_killed_run_resumes_to_the_last_bit(
    base: str, payoff: str, update: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growth = {"hold_images": 96, "fade_images": 96, "width_base": 32} if base == "ProGAN" else {}
    settings: dict[str, Any] = {
        "images": 16 * 24,
        "model": {
            "base": {"class": base, "width": 4, **growth},
            "components": 2,
            "payoff": payoff,
            "weight_update": update,
            "weight_lr": 0.05,
        },
        "data": {"batch_size": 24},
        "trainer": {"accelerator": "cpu", "log_every_n_steps": 4},
        "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 96, "keep": 100}, "MixtureReport": None},
    }
    whole = zoo.fit("mix_dcgan_digits", out=tmp_path / "whole", **settings)
    expected = bits(checkpoints_in(whole.folder)[0])
    dying = {
        **settings,
        "callbacks": {**settings["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": 10}},
    }
    with pytest.raises(RuntimeError, match="killed"):
        zoo.fit("mix_dcgan_digits", out=tmp_path / "killed", **dying)
    run = zoo.fit(resume=tmp_path / "killed", callbacks={"end": None})
    assert identical(bits(checkpoints_in(run.folder)[0]), expected)
    model = run.model
    assert isinstance(model, MixGAN)
    assert float((model.generator_weights - 0.5).abs().max()) > 0  # the weights had moved
    again = zoo.load_run(run.folder)
    assert torch.equal(again.sample(4, seed=0), model.sample(4, seed=0))


@pytest.mark.parametrize("payoff", ["shared", "full"])
def test_weights_learn_which_generator_is_better(payoff: Any, tmp_path: Path) -> None:
    """One generator draws only black; on noise the discriminators recognise it, and it loses its weight."""
    model = mix({**MLP, "generator_lr": 0.0, "discriminator_lr": 0.01}, 2, payoff=payoff, weight_lr=0.05, entropy=0.01)
    with torch.no_grad():
        list(model.generator.members[1].parameters())[-1].fill_(-20.0)
    train(model, 60, tmp_path, Noise((1, 4, 4), batch_size=32))
    assert model.generator_weights[1] < 0.1
    torch.testing.assert_close(model.generator_weights.sum(), torch.tensor(1.0))
    assert model.average.weights[1] < 0.3  # the average follows


def test_weights_and_entropies_are_logged(tmp_path: Path) -> None:
    model = mix(MLP, generators=2, discriminators=3)
    train(model, 2, tmp_path, log_every_n_steps=1)
    logged = {name.removeprefix("mixture/") for name in model.last_terms if name.startswith("mixture/")}
    assert logged == {
        "generator_0",
        "generator_1",
        "generator_entropy",
        "discriminator_0",
        "discriminator_1",
        "discriminator_2",
        "discriminator_entropy",
    }
    assert model.last_terms["mixture/generator_entropy"] == pytest.approx(0.6931, abs=1e-3)
    assert model.last_terms["d/mixture"] == pytest.approx(0.1 * 1.0986, abs=1e-3)
