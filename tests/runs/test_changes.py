"""Tests of what may change when a run is resumed, and of the end of the learning rate: row R1."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import SMALL_RUN, identical
from zoo.errors import RecipeError
from zoo.gan import GAN
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import RunFolder
from zoo.runs.planning import plan_run
from zoo.runs.recipes import load_recipe

SMALL = {**SMALL_RUN, "images": 320, "trainer": {"accelerator": "cpu", "log_every_n_steps": 4}}
MIXTURE: dict[str, Any] = {
    **SMALL,
    "data": {"class": "Digits"},
    "model": {"base": {"width": 4, "resolution": 16, "kernel_size": 4, "num_classes": 10}},
    "callbacks": {**SMALL["callbacks"], "MixtureReport": None},
}
RUNS = {"wgan_gp_digits": SMALL, "mix_dcgan_fashion": MIXTURE}


@pytest.fixture(scope="module", params=list(RUNS))
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    return zoo.fit(request.param, out=folder, **RUNS[request.param]).folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def horizon_key(run: Path) -> str:
    is_mixture = "base" in load_recipe(run / "recipe.yaml").model.arguments
    return "model.base.lr_horizon" if is_mixture else "model.lr_horizon"


def nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def moved(run: Path) -> list[bool]:
    """Whether each trained weight of the last checkpoint differs from the one at 320 images."""
    last = RunFolder(run).checkpoints()[0]
    before, after = (read_checkpoint(path)["state_dict"] for path in (RunFolder(run).checkpoint(320), last))
    weights = [name for name in before if re.match(r"(generator|discriminator)\.", name) and name.endswith("weight")]
    return [not torch.equal(before[name], after[name]) for name in weights]


def test_resuming_with_more_images_keeps_training(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Resume with more images keeps training: row R1. The rate is half its start at 320 of 640 images, not 0."""
    assert "lr_horizon: ${images}" in (run / "recipe.yaml").read_text()
    key = horizon_key(run)
    resumed = zoo.fit(resume=run, images=640)
    assert resumed.model.schedule.horizon == 640
    assert resumed.model.schedule.at(320) == 0.5
    assert all(moved(run))
    said = "note: other settings than the run had: images 320 -> 640, " + key + " 320 -> 640 (follows images)\n"
    assert capsys.readouterr().out.count(said) == 1
    assert "lr_horizon: ${images}" in (run / "recipe.yaml").read_text()


def test_a_run_that_recorded_the_number_follows_too(run: Path) -> None:
    """A run folder of 0.1.0, which has the number in place of the reference: row R1."""
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("lr_horizon: ${images}", "lr_horizon: 320"))
    assert zoo.fit(resume=run, images=640).model.schedule.horizon == 640
    assert all(moved(run))


def test_a_horizon_of_its_own_is_refused_with_a_remedy_that_works(run: Path) -> None:
    """A horizon that is not the run's length cannot follow, so the resumed run asks for it: row R1."""
    text, key = (run / "recipe.yaml").read_text(), horizon_key(run)
    (run / "recipe.yaml").write_text(text.replace("lr_horizon: ${images}", "lr_horizon: 300"))
    with pytest.raises(RecipeError) as caught:
        zoo.fit(resume=run, images=640)
    assert (
        f"{key}: the learning rate is 0 from 300 images on, so nothing would be learnt from 320 to 640 images; "
        f"give {key}=640 as well" in str(caught.value)
    )
    zoo.fit(resume=run, images=640, **nested(key, 640))
    assert all(moved(run))


def test_a_rate_that_is_0_before_the_end_is_said_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = plan_run("wgan_gp_digits", overrides={**SMALL, "model": {"lr_horizon": 300}}).recipe
    assert recipe.notes[-1] == (
        "model.lr_horizon=300 lies before images=320: the learning rate is 0 for the last 20 images; "
        "model.lr_horizon=320 lets it fall over the whole run"
    )
    assert plan_run("wgan_gp_digits", overrides=SMALL).recipe.notes == []


@pytest.mark.parametrize("mixed", [False, True])
def test_schedules_of_r3gan_follow_a_new_length(mixed: bool, tmp_path: Path) -> None:
    own = {"width": 8, "group_size": 8, "lr_schedule": "cosine", "lr_final": 0.1}
    model = {"class": "MixGAN", "components": 2, "base": own} if mixed else own
    run = zoo.fit("r3gan_digits", out=tmp_path / "run", **{**SMALL_RUN, "images": 64, "model": model})
    resumed = zoo.fit(resume=run.folder, images=128).model
    base = resumed.pairs[0][0] if mixed else resumed
    assert (base.decay.horizon, resumed.schedule.horizon) == (128, 128)
    assert resumed.schedule.at(64) == pytest.approx(0.55)  # from 1 to 0.1


def test_what_is_no_part_of_a_network_may_change(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings of the loop and of the losses may change on resume and are named in one line: row R1."""
    if "mix" in load_recipe(run / "recipe.yaml").model.target.__name__.lower():
        changes: dict[str, Any] = {"entropy": 0.2, "base": {"r1": 0.5, "clip_norm": 2.0}}
        said = ["model.entropy 0.1 -> 0.2", "model.base.r1 0.2 -> 0.5", "model.base.clip_norm 0.0 -> 2.0"]
    else:
        changes = {"penalty": 5.0, "clip_norm": 2.0, "critic_steps": 1}
        said = ["model.penalty 10.0 -> 5.0", "model.clip_norm 0.0 -> 2.0", "model.critic_steps 5 -> 1"]
    model = zoo.fit(resume=run, images=640, model=changes).model
    assert model.clip_norm == 2.0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: other settings")]
    assert all(text in line for text in said), line


@pytest.mark.parametrize("change", [{"width": 8}, {"latent_dim": 7}, {"betas": [0.9, 0.9]}, {"seed": 3}])
def test_networks_and_the_state_of_the_optimizers_are_kept(change: dict[str, Any], finished: Path) -> None:
    key = horizon_key(finished).removeprefix("model.").removesuffix("lr_horizon").strip(".")
    with pytest.raises(RecipeError, match=r"in the run, .* now; a resumed run keeps its model"):
        zoo.fit(resume=finished, images=640, model={key: change} if key and "seed" not in change else change)


VARIANTS: dict[type[GAN], dict[str, Any]] = {
    zoo.DCGAN: {"resolution": 16, "width": 4},
    zoo.VanillaGAN: {"width": 8, "discriminator_width": 8},
    zoo.WGANGP: {"resolution": 16, "width": 4, "num_classes": 3},
    zoo.BigGAN: {"resolution": 32, "width": 4, "num_classes": 3},
    zoo.BigGANDeep: {"resolution": 32, "width": 4, "num_classes": 3},
    zoo.R3GAN: {"resolution": 8, "width": 8},
    zoo.ProGAN: {"resolution": 8, "width": 8, "width_base": 32, "objective": "non_saturating"},
    zoo.MixGAN: {"base": {"class": "DCGAN", "resolution": 16, "width": 4}, "components": 2},
}
OTHER: dict[str, Any] = {
    "beta2_final": 0.5,
    "objective": "hinge",
    "payoff": "full",
    "regulariser": "shannon",
    "generator_batch": 3,
}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_settings_of_the_losses_leave_the_networks_as_they_are(variant: type[GAN]) -> None:
    def state(**changes: Any) -> dict[str, Any]:
        torch.manual_seed(0)
        return variant(**{**VARIANTS[variant], **changes}).state_dict()

    expected = state()
    for name in variant.loss_settings:
        assert name in inspect.signature(variant).parameters
        assert identical(state(**{name: OTHER.get(name, 2)}), expected), name
