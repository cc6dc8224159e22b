"""The change detector, on series whose change points are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zoo.alarms.change import ALLOWANCE, MEMORY, THRESHOLD, Track
from zoo.alarms.reading import Baselines, Moved


def readings_until_change(values: list[float], start: int, **settings: float) -> int | None:
    """Return the number of readings after `start` until a rise or fall is detected; None if there is none."""
    track = Track(**settings)  # type: ignore[arg-type]
    for i, value in enumerate(values):
        track.read(value)
        if track.rose or track.fell:
            return i - start + 1
    return None


@pytest.mark.parametrize("kind", ["gaussian", "drifting", "autocorrelated", "heavy-tailed"])
def test_healthy_series_change_less_than_once_in_thousands_of_readings(kind: str) -> None:
    rng = np.random.default_rng(0)
    changes = 0
    for _ in range(25):
        noise = rng.standard_normal(400)
        if kind == "drifting":
            noise += np.linspace(0, 40, 400)  # a tenth of a deviation in each reading
        elif kind == "autocorrelated":
            for i in range(1, 400):
                noise[i] = 0.5 * noise[i - 1] + noise[i] * math.sqrt(0.75)
        elif kind == "heavy-tailed":
            noise = rng.standard_t(8, 400)
        changes += readings_until_change(noise.tolist(), 0, floor=0.0001) is not None
    assert changes <= (4 if kind == "heavy-tailed" else 1)  # of 10,000 readings; alarms want a large change besides


@pytest.mark.parametrize(("size", "within"), [(14.0, 1), (8.0, 3)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_jump_is_detected_within_few_readings_and_in_its_direction(size: float, within: int, sign: int) -> None:
    rng = np.random.default_rng(1)
    late = 0
    for _ in range(40):
        values = rng.standard_normal(200)
        values[120:] += sign * size
        found = readings_until_change(values.tolist(), 120, floor=0.01)
        late += found is None or not 1 <= found <= within + 1
        track = Track(floor=0.01)
        for value in values[: 120 + within + 1]:
            track.read(value)
        assert not (track.fell if sign > 0 else track.rose)
    assert late <= 4  # of 40


def test_a_quiet_signal_needs_a_change_beyond_the_floor() -> None:
    values = [1.0] * 100 + [1.001] * 20
    assert readings_until_change(values, 100, floor=0.02) is None
    assert readings_until_change([1.0] * 100 + [1.3] * 5, 100, floor=0.02) == 1  # 15 floors


def test_drift_is_forecast_and_a_small_jump_off_it_is_detected() -> None:
    ramp = [0.002 * i for i in range(100)]
    assert readings_until_change(ramp, 0, floor=0.005) is None
    assert readings_until_change([*ramp[:80], *(value + 0.1 for value in ramp[80:])], 80, floor=0.005) == 1


def test_no_change_is_detected_before_the_baselines_have_settled() -> None:
    assert readings_until_change([0.0] * 5 + [100.0] * 10, 5, settle=16) is None


def test_a_new_level_becomes_the_baseline() -> None:
    track = Track(floor=0.02)
    for value in [0.0] * 60 + [1.0] * (20 * MEMORY):
        track.read(value)
    assert track.rose == 0
    assert track.level == pytest.approx(1.0, abs=0.05)


def test_values_that_are_not_finite_leave_the_baselines_alone() -> None:
    track = Track()
    for value in (1.0, math.nan, math.inf, 1.0):
        track.read(value)
    assert (track.count, track.level) == (2, 1.0)


def test_the_sum_is_the_cusum_of_page() -> None:
    track = Track(settle=0, floor=1.0)
    for value in (0.0, 3.0):
        track.read(value)
    assert track.up == pytest.approx(3.0 - ALLOWANCE)
    assert track.down == 0
    assert track.up < THRESHOLD


def test_a_track_goes_on_from_its_numbers() -> None:
    rng = np.random.default_rng(2)
    whole = Track()
    for value in (values := rng.standard_normal(80).tolist())[:40]:
        whole.read(value)
    again = Track(**whole.as_dict())  # type: ignore[arg-type]
    for value in values[40:]:
        whole.read(value)
        again.read(value)
    assert again == whole


def test_a_reading_names_the_signal_that_moved_most_in_its_own_unit() -> None:
    baselines = Baselines()
    quick = {"weight/a": 2.0, "weight/b": 2.0, "duplicates": 0.0}
    for _ in range(30):
        baselines.read(quick, "8 px", {})
    now = baselines.read({"weight/a": 3.0, "weight/b": 5.0, "duplicates": 0.5}, "8 px", {})
    moved = now.rose("weight/", by=1.2)
    assert moved is not None
    assert moved.name == "weight/b"
    assert (moved.before, moved.now, moved.factor) == (pytest.approx(2.0), 5.0, pytest.approx(2.5))
    assert now.rose("weight/", by=3.0) is None
    assert now.fell("weight/", by=1.01) is None
    assert now.rose("duplicates", by=0.4) == Moved("duplicates", 0.0, 0.5)
    assert str(moved) == "weight/b went from 2 to 5"


def test_another_stage_begins_anew() -> None:
    baselines = Baselines()
    for _ in range(30):
        baselines.read({"weight/a": 2.0}, "8 px", {})
    assert baselines.read({"weight/a": 200.0}, "16 px", {}).rose("weight/", by=1.1) is None
    state = baselines.state_dict()
    again = Baselines()
    again.load_state_dict(state)
    assert again.state_dict() == state
