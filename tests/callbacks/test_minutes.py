"""Intervals in minutes, pictures before training, the speed of a run and the time it has left."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.helpers.training import tiny_dcgan, tiny_mlp, train
from zoo.callbacks import Every, RunProgress, SampleGrid, SaveEvery, every, speed
from zoo.callbacks.speed import RecentSpeed
from zoo.data.digits import Digits
from zoo.rendering import pictures
from zoo.training.stages import Stage, seconds_left, stages_of


class Time:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(every, "time", time)
    monkeypatch.setattr(speed, "time", time)
    return time


class Noted(Every):
    def __init__(self, clock: Time, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self.clock, self.seconds, self.at = clock, seconds, list[int]()

    def on_train_batch_end(self, *args: Any) -> None:
        self.clock.now += self.seconds
        super().on_train_batch_end(*args)

    def act(self, trainer: Any, model: zoo.GAN) -> None:
        self.at.append(model.images_seen)


def test_rounds_of_40_seconds_reach_a_limit_of_2_minutes_after_3_rounds(clock: Time, tmp_path: Path) -> None:
    noted = Noted(clock, 40.0, every=10**6, minutes=2, at_end=False)
    train(tiny_mlp(), 10, tmp_path, callbacks=[noted])  # 8 images a round
    assert noted.at == [24, 48, 72]


def test_the_minutes_are_counted_from_the_last_time(clock: Time, tmp_path: Path) -> None:
    noted = Noted(clock, 40.0, every=32, minutes=2, at_end=False)
    train(tiny_mlp(), 10, tmp_path, callbacks=[noted])
    assert noted.at == [24, 32, 56, 64]  # 3 rounds, a multiple, 3 rounds, a multiple; the next limit is after 11 rounds

    none = Noted(clock, 4000.0, every=32, at_end=False)
    train(tiny_mlp(), 10, tmp_path / "none", callbacks=[none])
    assert none.at == [32, 64]


def test_a_checkpoint_is_written_by_time_and_resumes_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(every, "time", ticking := Time())
    monkeypatch.setattr(ticking, "monotonic", lambda: setattr(ticking, "now", ticking.now + 100) or ticking.now)
    options: dict[str, Any] = {
        "images": 1280,
        "model": {"width": 8},
        "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None, "SaveEvery": {"every": 10**6}},
    }
    whole = zoo.fit("dcgan_digits", out=tmp_path / "whole", **options)
    saved = sorted(path.stem for path in (tmp_path / "whole/checkpoints").glob("*.ckpt"))
    assert len(saved) == 3  # keep
    assert int(saved[0]) < 1280
    first = tmp_path / "whole/checkpoints" / f"{saved[0]}.ckpt"
    copy = tmp_path / "copy/checkpoints"
    copy.mkdir(parents=True)
    (copy / first.name).write_bytes(first.read_bytes())
    (tmp_path / "copy/recipe.yaml").write_bytes((tmp_path / "whole/recipe.yaml").read_bytes())
    again = zoo.fit(resume=tmp_path / "copy")
    states = whole.model.state_dict(), again.model.state_dict()
    assert all(bool((states[0][key] == states[1][key]).all()) for key in states[0])


@pytest.mark.parametrize("build", [lambda m: SaveEvery(8, minutes=m), lambda m: SampleGrid(8, minutes=m)])
def test_impossible_minutes_are_refused(build: Any) -> None:
    for minutes in (-1.0, math.inf, math.nan):
        with pytest.raises(
            ValueError, match=re.escape(f"minutes must be a number from 0 on, 0 for no limit in time; got {minutes}")
        ):
            build(minutes)


def test_training_images_are_shown_before_the_first_round(tmp_path: Path) -> None:
    data = Digits(resolution=16, channels=1, batch_size=8)
    train(tiny_dcgan(), 1, tmp_path, data, callbacks=[SampleGrid(every=8, rows=2, columns=5)])
    picture = np.asarray(Image.open(tmp_path / "samples/real.png"))
    assert np.array_equal(picture, np.asarray(pictures.grid(data.preview(10), 5)))
    trained_on = {image.numpy().tobytes() for image in data.train.tensor()}
    assert all(image.numpy().tobytes() in trained_on for image in data.preview(10))


def test_a_resumed_run_shows_no_training_images(tmp_path: Path) -> None:
    model = tiny_dcgan()
    model.set_clock(800, 100)
    train(model, 1, tmp_path, Digits(resolution=16, channels=1, batch_size=8), callbacks=[SampleGrid(every=8)])
    assert not (tmp_path / "samples/real.png").exists()


def test_the_speed_is_that_of_the_last_half_minute(clock: Time) -> None:
    recent = RecentSpeed()
    for seconds in [0.5] * 100 + [0.25] * 200:  # 50 s at 16 images/s, 50 s at 32 images/s
        recent.begin()
        clock.now += seconds
        recent.end(8)
    assert recent.images_per_second == pytest.approx(32)


def test_a_pause_between_rounds_does_not_count(clock: Time) -> None:
    recent = RecentSpeed()
    for pause in [0.0] * 10 + [600.0] + [0.0] * 10:
        clock.now += pause
        recent.begin()
        clock.now += 0.5
        recent.end(8)
    assert recent.images_per_second == pytest.approx(16)


def test_waiting_for_images_counts(clock: Time) -> None:
    recent = RecentSpeed()
    for _ in range(10):
        clock.now += 0.3
        recent.begin()
        clock.now += 0.5
        recent.end(8)
    assert recent.images_per_second == pytest.approx(10, rel=0.1)  # the first round counts from its own start


def test_rounds_of_another_stage_are_forgotten(clock: Time) -> None:
    recent = RecentSpeed()
    for stage, seconds in [(4, 0.1)] * 50 + [(8, 0.4)] * 2:
        recent.begin()
        clock.now += seconds
        recent.end(8, stage=stage)
    assert recent.images_per_second == pytest.approx(20)


def test_stages_are_those_of_the_resolution() -> None:
    stages = stages_of(lambda progress: 4 if progress < 250 else 8 if progress < 500 else 16, 1000)
    assert stages == [Stage(0, 250, 4), Stage(250, 500, 8), Stage(500, 1000, 16)]
    assert stages_of(lambda progress: 32, 7) == [Stage(0, 7, 32)]


def test_the_time_left_is_a_sum_over_stages() -> None:
    stages = [Stage(0, 100, 4, 0.01), Stage(100, 200, 8, 0.05), Stage(200, 1000, 16, 0.1)]
    assert seconds_left(stages, 0, rate=100.0) == pytest.approx(1 + 5 + 80)
    assert seconds_left(stages, 0, rate=50.0) == pytest.approx(2 * 86)  # the machine is half as fast as measured
    assert seconds_left(stages, 150, rate=20.0) == pytest.approx(2.5 + 80)
    assert seconds_left(stages, 1000, rate=20.0) == 0
    assert seconds_left([Stage(0, 100, 4)], 50, rate=10.0) == pytest.approx(5)  # not measured


def test_a_line_of_progress_tells_the_time_of_the_next_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], clock: Time
) -> None:
    class Slow(SampleGrid):
        def on_train_batch_start(self, *args: Any) -> None:
            clock.now += 2.0  # a round of 8 images: 4 images/s

    progress = RunProgress(images=48, line_seconds=0.0)
    train(tiny_mlp(), 6, tmp_path, callbacks=[progress, Slow(every=32, rows=1)], enable_progress_bar=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if " of 48 images" in line]
    assert lines[0].startswith("8 of 48 images · 4 images/s")
    assert lines[0].endswith("0:00:10 left · picture in 0:00:06")
    assert lines[-1].endswith("0:00:00 left")
