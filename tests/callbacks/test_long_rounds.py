"""Tests of runs whose rounds take long: the warning at the start, and Ctrl-C: row A15."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.helpers import processes
from tests.helpers.training import tiny_mlp
from zoo.callbacks import StopOnSignal
from zoo.callbacks.cost import note_on_cost

SLOW = """
import time
import zoo

class Slow(zoo.DCGAN):
    def prepare(self, real):
        print("round", flush=True)
        time.sleep(60)
        return real
"""
FIT = """
import zoo
from zoo.callbacks import StopOnSignal
StopOnSignal.patience = 0.5
zoo.fit("dcgan_digits", out="run", model={"class": "slow.Slow", "width": 4}, trainer={"accelerator": "cpu"})
"""


def test_a_run_of_weeks_on_a_cpu_is_said_before_its_first_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning of the cost at the start: row A15. 0.1 s for two images, 13 times that to train: 0.65 s for each."""
    model: Any = tiny_mlp()
    clock = iter([0.0, 5.0, 10.0, 10.1])  # the first drawing also sets things up
    monkeypatch.setattr("zoo.callbacks.cost.time.perf_counter", lambda: next(clock))
    note = note_on_cost(model, 86_400 * 100)
    assert note is not None
    assert note.startswith(
        "note: on this CPU the run may take about 65 days (estimated from the time of drawing an image)"
    )


def test_a_run_of_minutes_is_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert note_on_cost(tiny_mlp(), 560_000) is None


def test_ctrl_c_in_a_long_first_round_ends_the_run(tmp_path: Path) -> None:
    """Ctrl-C within ten seconds where there is nothing to save: row A15; here half a second of a round of 60 s."""
    (tmp_path / "slow.py").write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{processes.PATH}"}
    process = processes.start(["-c", FIT], tmp_path, environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    while "round" not in (line := process.stdout.readline()):
        assert line, process.communicate()[1]
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert "SIGINT: finishing this round, then saving; press Ctrl-C again to end at once, unsaved" in error
    assert "the first round takes long: ended at once, as there is nothing to save yet" in error


def test_a_later_round_is_finished_and_its_length_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    stop = StopOnSignal()
    stop._round_seconds = 170.4
    stop._handle(signal.SIGINT, None)
    assert "SIGINT: finishing this round (a round takes 170 s), then saving; press" in capfd.readouterr().err
    stop._end_first_round()  # does nothing: a round has ended


def test_measurements_between_rounds_are_no_part_of_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of 2 s, and 300 s between them, in which a callback measured."""
    stop, trainer, model = StopOnSignal(), Mock(strategy=None), Mock()
    times = iter([0.0, 10.0, 12.0, 312.0, 314.0])
    monkeypatch.setattr("zoo.callbacks.stopping.time.monotonic", lambda: next(times))
    monkeypatch.setattr("zoo.callbacks.stopping.signal.signal", Mock())
    stop.on_train_start(trainer, model)
    for _ in range(2):
        stop.on_train_batch_start(trainer, model, None, 0)
        stop.on_train_batch_end(trainer, model, None, None, 0)
        assert stop._round_seconds == 2
