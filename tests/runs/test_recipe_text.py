"""Truths of the check before torch: the same faults in the same words, and silence where text cannot tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo.config.arguments import parse_arguments
from zoo.config.recipe_files import recipe_names
from zoo.errors import UserError
from zoo.runs.recipe_text import check_text
from zoo.runs.recipes import load_recipe

FAULTY = [
    "model.widht=8",
    "modle.width=8",
    "width=8",
    "epochs=3",
    "model.width=abc",
    "model.width=null",
    "model.betas=[1]",
    "images=abc seed=x",
    "images=0",
    "model.class=DCGN",
    "model.class=Digits",
    "model.class=GAN",
    "model.class=Replica",
    "model.components=3",
    "model.class=ProGAN model.variant=authrs",
    "model.class=MixGAN model.componets=3 model.payoff=sharde",
    "model.class=MixGAN model.base.class=BigGAN model.base.widht=8",
    "data.class=Folder",
    "data.class=Folder data.root=x data.on_corrupt=no",
    "data.class=CIFAR",
    "data.batch_size.64=x",
    "callbacks.SampleMetric.every=3",
    "callbacks.SampleMetrics.evry=3",
    "callbacks.SampleGrid=7",
    "callbacks.mine.class=Digits",
    "loggers.Mine.x=1",
    "trainer.acelerator=cpu",
    "trainer.max_epochs=3",
    "trainer.precision=16-mixed",
    "trainer.deterministic=maybe",
    "trainer.max_time.days=x trainer.log_every_n_steps=x",
    "model.lr_horizon=${image}",
    "model.widht=8 data.rot=x callbacks.Alarms.evry=1 modle.x=1 images=x",
]


def fault(check: Any, words: str, **given: Any) -> str:
    """Return the text of the fault that a check finds; empty if it finds none."""
    try:
        check(given.pop("recipe", "dcgan_digits"), **given, **parse_arguments(words.split()))
    except UserError as error:
        return str(error)
    return ""


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read of source files is kept from test to test, not forgotten after each check: half a second."""
    monkeypatch.setattr("zoo.runs.recipe_text.forget", lambda: None)


@pytest.mark.parametrize("words", FAULTY)
@pytest.mark.usefixtures("kept")
def test_the_text_has_the_faults_that_the_classes_have(words: str) -> None:
    expected = fault(lambda recipe, **overrides: load_recipe(recipe, overrides), words)
    assert expected.startswith(f"dcgan_digits with {words.split('=')[0]}")
    assert fault(check_text, words) == expected


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.usefixtures("kept")
def test_a_recipe_of_the_library_passes(name: str) -> None:
    assert fault(check_text, "", recipe=name) == ""


@pytest.mark.parametrize(
    "words",
    [
        "model.class=MixGAN model.components=3",
        "model.class=WGANGP data.class=Folder data.root=nowhere",
        "trainer.accelerator=cpu trainer.devices=[0] trainer.deterministic=warn trainer.max_time.hours=3",
        "callbacks.SampleGrid=null",
        "pretrained=biggan_fashion check=true",
    ],
)
def test_a_changed_recipe_passes(words: str) -> None:
    assert fault(check_text, words) == ""


def test_all_faults_are_reported_together_so_a_class_of_ones_own_leaves_them_to_the_classes() -> None:
    assert fault(check_text, "model.class=my_ideas.Mine trainer.acelerator=cpu") == ""
    assert fault(check_text, "model.widht=8", resume="runs/x") == ""
    assert fault(check_text, "pretrained=biggan_fashion model.widht=8", recipe=None) == ""


def test_what_a_new_run_needs_is_missed_before_torch(tmp_path: Path) -> None:
    """A recipe, one that is there, and a folder without a run."""
    assert fault(check_text, "", recipe=None).startswith("name a recipe, such as recipe=dcgan_digits;")
    assert "Did you mean dcgan_digits?" in fault(check_text, "", recipe="dcgan_digts")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "000000000064.ckpt").touch()
    assert "already holds a run" in fault(check_text, "", out=tmp_path)
    (tmp_path / "bad.yaml").write_text("model: [")
    assert "not readable as YAML" in fault(check_text, "", recipe=str(tmp_path / "bad.yaml"))
