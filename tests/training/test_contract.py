"""Checks of what a subclass returns to the loop; a refused start leaves a run unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import tiny_dcgan, train
from zoo.config.command_line import run_command
from zoo.errors import DataError, RecipeError, UserError
from zoo.runs.fitting import main as fit

TINY: dict[str, Any] = {
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 6},
    "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None, "SaveEvery": {"every": 64}},
}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (torch.zeros(()), "must return a dict of named terms.*got a Tensor"),
        (None, "got nothing; does it end with return"),
        ({"l1": 0.5}, "the term 'l1' must be a tensor; got 0.5"),
        ({"l1": torch.zeros(64)}, r"the term 'l1' must be one number; got \(64,\). Add .mean\(\)"),
        ({}, "must return at least one term; got an empty dict"),
        (
            {"l1": torch.zeros(()), "l2": torch.ones(())},
            "no term depends on weights that the player trains.*got l1, l2",
        ),
    ],
)
def test_a_loss_that_is_none_is_named(given: Any, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tiny_dcgan()
    monkeypatch.setattr(model, "generator_loss", lambda real, fake: given)
    with pytest.raises(UserError, match=f"DCGAN, loss of 'g'.*{fault}"):
        train(model, 1, tmp_path)


def test_scores_of_another_shape_are_refused_not_broadcast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tiny_dcgan()
    score = model.score
    monkeypatch.setattr(model, "score", lambda batch: score(batch)[:, None])
    with pytest.raises(UserError, match=r"DCGAN.score must give one logit for each image, \(\d+,\); got \(\d+, 1\)"):
        train(model, 1, tmp_path)


def test_a_player_without_weights_to_train_is_named(tmp_path: Path) -> None:
    model = tiny_dcgan()
    model.generator.requires_grad_(False)
    with pytest.raises(UserError, match="DCGAN: the network of the player 'g' has no weight to train"):
        train(model, 1, tmp_path)


class Replaced(zoo.VanillaGAN):
    """Model that makes its optimizers as other LightningModules do."""

    def configure_optimizers(self) -> Any:
        return [torch.optim.Adam(network.parameters()) for network in (self.discriminator, self.generator)]


def test_a_subclass_that_makes_all_optimizers_is_told_of_the_method_for_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Replaced: the player 'd' has no optimizer.*Override configure_optimizer\("):
        train(Replaced(resolution=4, width=8), 1, tmp_path)


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", images=128, **TINY)
    before = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    with pytest.raises(DataError, match="A resumed run keeps its data"):
        zoo.fit(resume=run.folder, images=256, data={"split_seed": 9})
    assert {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()} == before
    assert zoo.fit(resume=run.folder, images=192).model.images_seen == 192


def test_a_run_is_resumed_as_what_it_is(tmp_path: Path) -> None:
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", images=64, **TINY)
    with pytest.raises(UserError, match=r"is a run of dcgan_digits, not of wgan_gp_digits. Leave recipe= out"):
        zoo.fit("wgan_gp_digits", resume=run.folder)
    with pytest.raises(RecipeError, match=r"model.class: a resumed run keeps its model"):
        zoo.fit(resume=run.folder, model={"class": "VanillaGAN"})


def test_a_run_folder_that_cannot_be_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    words = ["recipe=dcgan_digits", f"out={tmp_path / 'file'}", "images=64", "trainer.accelerator=cpu"]
    with pytest.raises(SystemExit) as ended:
        run_command("fit", fit, words)
    assert ended.value.code == 2
    assert f"out: cannot write {tmp_path / 'file'}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "model",
    [
        *(tiny_dcgan(objective=name) for name in ("non_saturating", "hinge", "least_squares", "relativistic")),
        zoo.WGANGP(resolution=16, channels=1, width=4),
    ],
    ids=lambda model: type(model.objective).__name__,
)
def test_under_autocast_a_loss_has_the_resolution_of_float32(model: zoo.GAN) -> None:
    model.objective.penalty_factor = 0.0
    real, fake = (zoo.Batch(torch.rand(4, 1, 16, 16) * 2 - 1) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.discriminator_loss(real, fake)["adversarial"]
    assert real.scores is not None
    assert fake.scores is not None
    assert real.scores.dtype == loss.dtype == torch.float32
    exact = model.objective.discriminator_value(real.scores.double(), fake.scores.double())
    torch.testing.assert_close(loss.double(), exact, rtol=1e-6, atol=1e-7)
