"""The scripts of `examples/`, run as their first lines say, with small numbers."""

from __future__ import annotations

import importlib
import importlib.util
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import zoo
from tests.helpers import processes

EXAMPLES = Path(__file__).parents[2] / "examples"
CALLBACKS = {"SampleGrid": None, "SampleMetrics": {"every": 1000, "n": 40, "metrics": ["fid"]}, "Alarms": None}


def test_a_plain_trainer_trains_with_a_loader_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--epochs", "1", "--width", "4", "--out", "out"]
    monkeypatch.setattr(sys, "argv", ["lightning_trainer.py", *words])
    runpy.run_path(str(EXAMPLES / "lightning_trainer.py"), run_name="__main__")
    loaded = zoo.DCGAN.load_from_checkpoint("out/digits.ckpt", map_location="cpu")
    assert loaded.images_seen == 1797 // 64 * 64
    assert Image.open("out/samples.png").size == (10 * 18 + 2, 8 * 18 + 2)


@pytest.mark.xdist_group("replicas")  # of one worker, since they start processes
def test_torchrun_trains_on_two_processes(tmp_path: Path) -> None:
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(EXAMPLES / "torchrun.py")]
    words = ["--images", "512", "--width", "4", "--accelerator", "cpu", "--out", "out"]
    own = {key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    environment = {**own, "PYTHONPATH": processes.PATH}
    done = processes.run(["-m", *launcher, *words], tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2 processes, 512 images seen: out/samples.png"
    assert (tmp_path / "out/samples.png").is_file()


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason='pip install ".[test]"')
def test_optuna_keeps_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/test_optuna_example.py` checks the numbers; here the package itself runs a trial and keeps it."""
    optuna: Any = importlib.import_module("optuna")
    monkeypatch.chdir(tmp_path)
    main: Any = runpy.run_path(str(EXAMPLES / "optuna_sweep.py"))["main"]
    study = main(1, seeds=(0,), images=64, callbacks=CALLBACKS, trainer={"accelerator": "cpu"})
    kept = optuna.load_study(study_name="dcgan_digits", storage="sqlite:///optuna.db")
    assert [trial.state.name for trial in kept.trials] == ["COMPLETE"]
    assert kept.best_value == study.best_value > 0
    assert set(kept.best_params) == {"width", "generator_lr"}
    assert {path.name for path in Path("runs/optuna").iterdir()} == {"0"}
