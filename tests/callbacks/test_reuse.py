"""Tests of callbacks that serve one fit after another."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback

import zoo
from tests.helpers.training import tiny_dcgan, tiny_mlp, train
from zoo.callbacks import Alarms, RunProgress, SampleMetrics, SaveEvery, StopOnSignal
from zoo.data.digits import Digits


def test_the_last_checkpoint_of_every_fit_is_saved(tmp_path: Path) -> None:
    """Both fits end at the same number of images."""
    saves = SaveEvery(every=10**6)
    for name in ("one", "two"):
        train(tiny_mlp(), 2, tmp_path / name, callbacks=[saves])
        assert (tmp_path / name / "checkpoints" / "000000000016.ckpt").is_file()


def test_alarms_know_nothing_of_another_model(tmp_path: Path) -> None:
    alarms, model = Alarms(rounds=1, action="rollback"), tiny_mlp()
    train(model, 5, tmp_path, callbacks=[alarms])
    train(model, 3, tmp_path, callbacks=[alarms])
    assert alarms.baselines.tracks["score/real"].count == 8  # of the same model, whose usual signals are known
    alarms.healthy.confirmed, alarms.rolled_back, alarms.lowered = "000000000040.ckpt", 2, 0.5
    other = tiny_mlp()
    train(other, 5, tmp_path / "other", callbacks=[alarms])
    assert alarms.baselines.tracks["score/real"].count == 5
    assert (alarms.healthy.confirmed, alarms.rolled_back, alarms.lowered) == ("", 0, 1.0)
    assert other.lr_factor == 1.0
    assert other.can_roll_back


def test_alarms_do_not_roll_back_to_a_checkpoint_of_another_folder(tmp_path: Path) -> None:
    alarms, model = Alarms(rounds=1, action="rollback"), tiny_mlp()
    train(model, 2, tmp_path / "one", callbacks=[alarms])
    alarms.healthy.confirmed = "000000000016.ckpt"
    train(model, 2, tmp_path / "two", callbacks=[alarms])
    assert alarms.healthy.confirmed == ""


class Interrupts(Callback):
    """Callback that receives Ctrl-C in the second round."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        if pl_module.rounds == 1:
            signal.raise_signal(signal.SIGINT)


def test_a_signal_ends_one_fit(tmp_path: Path) -> None:
    stops, model = StopOnSignal(), tiny_mlp()
    train(model, 5, tmp_path, callbacks=[stops, Interrupts()])
    assert (model.rounds, stops.received) == (2, signal.SIGINT)
    train(model, 5, tmp_path, callbacks=[stops])
    assert (model.rounds, stops.received) == (7, None)


def test_floors_are_those_of_the_data_of_the_fit(tmp_path: Path) -> None:
    reused, new = (SampleMetrics(every=10**6, n=40, metrics=("fid",), extractor="pixels") for _ in range(2))
    floors = {}
    for name, callback, split_seed in (("one", reused, 0), ("two", reused, 1), ("new", new, 1)):
        data: Any = Digits(resolution=16, batch_size=8, split_seed=split_seed)
        train(tiny_dcgan(), 1, tmp_path / name, loader=data, callbacks=[callback])
        row = json.loads((tmp_path / name / "evaluation" / "training-pixels.jsonl").read_text())
        floors[name] = row["numbers"][0]["floor"]
    assert floors["two"] == floors["new"] != floors["one"]


def test_the_stages_of_a_progress_display_are_those_of_the_model(tmp_path: Path) -> None:
    progress = RunProgress(images=32)
    settings: dict[str, Any] = {"latent_dim": 5, "width": 4, "width_base": 64, "hold_images": 8, "fade_images": 8}
    for resolution in (8, 16):
        model = zoo.ProGAN(resolution=resolution, channels=1, **settings)
        train(model, 1, tmp_path, callbacks=[progress], enable_progress_bar=True)
        assert progress.stages[-1].resolution == resolution
