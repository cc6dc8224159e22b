"""Alarms in training: no side effects, exact resume, and faults in their settings."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers import processes
from tests.helpers.monitored_models import small, tiny_mix, tiny_progan, tiny_wgan
from tests.helpers.training import bits, identical, tiny_biggan, tiny_dcgan, tiny_mlp, train
from zoo.alarms.observe import Observer
from zoo.callbacks import Alarms
from zoo.config.arguments import parse_arguments
from zoo.errors import RecipeError, UserError
from zoo.io.run_folder import checkpoints_in
from zoo.runs.recipes import load_recipe

# --- training is left alone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [tiny_dcgan, tiny_biggan, tiny_progan, tiny_wgan, tiny_mix, tiny_mlp])
def test_weights_buffers_and_moments_are_those_without_alarms(build: Any, tmp_path: Path) -> None:
    ends = []
    for callbacks in ([], [Alarms(rounds=1, every=8)]):
        model = build()
        trainer = train(model, 18 if build is tiny_progan else 8, tmp_path, callbacks=callbacks)  # until it has grown
        ends.append([model.state_dict(), trainer.optimizers[0].state_dict(), trainer.optimizers[1].state_dict()])
    assert identical(*ends)


def test_a_reading_leaves_modes_random_state_and_gradients_as_they_were(tmp_path: Path) -> None:
    model = tiny_biggan()
    trainer = train(model, 3, tmp_path)
    model.train()
    observer = Observer(model, None)
    observer.fixed.first_batch(zoo.Batch(torch.rand(64, 1, 16, 16) * 2 - 1, torch.arange(64) % 3))
    before = torch.get_rng_state(), {n: b.clone() for n, b in model.named_buffers()}
    modes = [module.training for module in model.modules()]
    gradients = [p.grad for p in model.parameters()]
    observer.quick(trainer, model)
    observer.full(trainer, model)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert identical(dict(model.named_buffers()), before[1])
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients))
    assert not any(module._forward_hooks for module in model.modules())


def test_the_host_waits_only_in_rounds_with_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    model = tiny_dcgan()
    for name in ("item", "tolist", "__bool__", "__float__"):
        plain = getattr(torch.Tensor, name)

        def spy(self: torch.Tensor, plain: Any = plain) -> Any:
            waited.append(model.rounds)
            return plain(self)

        monkeypatch.setattr(torch.Tensor, name, spy)
    train(model, 12, tmp_path, callbacks=[Alarms(rounds=5)], log_every_n_steps=1000)
    in_rounds = {n for n in waited if 1 < n < 12}  # the first looks at the data, the last logs
    assert in_rounds <= {5, 10}
    assert {5, 10} <= set(waited)


# --- resume ----------------------------------------------------------------------------------------------------------


def test_a_killed_run_takes_the_same_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**small(every=64), "model": {"width": 4, "critic_steps": 3}}
    whole = zoo.fit("dcgan_digits", out=tmp_path / "whole", **settings).folder
    folder = tmp_path / "killed"
    end = {"class": "tests.helpers.training.Dies", "after": 13}
    with pytest.raises(RuntimeError, match="killed"):
        zoo.fit("dcgan_digits", out=folder, **{**settings, "callbacks": {**settings["callbacks"], "end": end}})
    zoo.fit(resume=folder, callbacks={"end": None})
    mine, theirs = (torch.load(checkpoints_in(f)[0], weights_only=True)["callbacks"] for f in (folder, whole))
    assert identical(mine["Alarms"], theirs["Alarms"])
    assert mine["Alarms"]["habits"]["tracks"]["weight/g/stem.1"]["count"] == 12
    assert (folder / "alarms/signals.jsonl").read_text() == (whole / "alarms/signals.jsonl").read_text()
    assert identical(bits(checkpoints_in(folder)[0]), bits(checkpoints_in(whole)[0]))


def test_sigkill_and_resume_keep_the_state(tmp_path: Path) -> None:
    arguments = [
        "recipe=dcgan_digits",
        "images=1280",
        "model.width=4",
        "callbacks.SampleGrid=null",
        "callbacks.SampleMetrics=null",
        "callbacks.SaveEvery.every=320",
        "callbacks.SaveEvery.keep=100",
        "trainer.accelerator=cpu",
        "callbacks.Alarms.rounds=2",
    ]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = processes.start(["-m", "zoo.fit", *arguments, f"out={killed}"], stdout=subprocess.DEVNULL)
    while not checkpoints_in(killed) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    given = parse_arguments(arguments)
    zoo.fit(given.pop("recipe"), out=whole, **given)
    if int(checkpoints_in(killed)[0].stem) < 1280:
        zoo.fit(resume=killed)
    states = [torch.load(checkpoints_in(f)[0], weights_only=True)["callbacks"]["Alarms"] for f in (killed, whole)]
    assert identical(*states)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"action": "panic"}, "action"),
        ({"rounds": 0}, "rounds must be at least 1; got 0"),
        ({"lr_drop": 0}, "lr_drop must lie in (0, 1]; got 0"),
        ({"ignore": ["dead gradent"]}, "there is no alarm 'dead gradent'. Did you mean dead gradient?"),
        ({"classifier": "digitz"}, "digitz"),
    ],
)
def test_faults_teach(wrong: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises((UserError, RecipeError)) as caught:
        zoo.fit("dcgan_digits", out=tmp_path, **small(**wrong))
    assert text in str(caught.value)


def test_the_recipe_takes_alarms_by_name() -> None:
    recipe = load_recipe("dcgan_digits", {"callbacks": {"Alarms": {"action": "rollback", "rollbacks": 1}}})
    assert recipe.callbacks["Alarms"].arguments["action"] == "rollback"
