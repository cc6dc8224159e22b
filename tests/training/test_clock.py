import math
from typing import Literal

import pytest

from zoo.training.clock import Clock, Clocked, Schedule, crossed, retention
from zoo.training.seeding import derive_seed


def test_seeds_depend_on_every_part_and_their_order() -> None:
    grid = {derive_seed("round", a, b, c) for a in range(10) for b in range(10) for c in range(0, 6400, 64)}
    assert len(grid) >= 10 * 10 * 100 - 2  # 32 bits: one collision among 10,000 is expected once in 80 tries
    assert derive_seed("round", 1, 2) != derive_seed("round", 2, 1)
    assert derive_seed("round", 1, 2) != derive_seed("mirror", 1, 2)
    assert all(0 <= s < 2**32 for s in grid)


def test_seeds_stay_the_same_for_ever() -> None:
    """A change of these values would break the exact resume of every existing run."""
    assert [derive_seed("round", 0, 0, 0), derive_seed("order", 1, 2)] == [1697804483, 298709019]


def test_a_crossing_is_seen_once_whatever_the_step() -> None:
    for step in (1, 7, 64, 999, 1000, 1001, 2500):
        marks = [now for now in range(step, 10_001, step) if crossed(now - step, now, 1000)]
        assert len(marks) == len({now // 1000 for now in range(step, 10_001, step)} - {0})


def test_models_may_share_a_clock() -> None:
    one, other = Clocked(), Clocked()
    one.clock = other.clock = Clock()
    one.set_clock(330, rounds=19, images_undone=200)
    other.images_seen += 70
    assert one.clock_state() == {"images_seen": 400, "rounds": 19, "images_undone": 200}
    assert (one.progress, one.images_before) == (200, 330)


def test_retention_halves_with_each_halflife() -> None:
    assert retention(500, 500) == 0.5
    assert retention(1500, 500) == 0.125
    assert retention(0, 500) == 1.0
    assert retention(64, 0) == 0.0


def test_schedules_meet_their_corners() -> None:
    linear, cosine = Schedule("linear", 1000), Schedule("cosine", 1000)
    assert [linear.at(t) for t in (0, 250, 500, 1000, 2000)] == [1.0, 0.75, 0.5, 0.0, 0.0]
    assert [round(cosine.at(t), 12) for t in (0, 500, 1000, 2000)] == [1.0, 0.5, 0.0, 0.0]
    assert cosine.at(250) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert Schedule().at(10**9) == 1.0


def test_warmup_multiplies_the_schedule() -> None:
    schedule = Schedule("linear", 1000, warmup=100)
    assert schedule.at(0) == 0.0
    assert schedule.at(50) == pytest.approx(0.95 * 0.5)
    assert schedule.at(100) == pytest.approx(0.9)


def test_a_falling_schedule_without_horizon_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"lr_schedule='linear' needs lr_horizon.*got 0.*\$\{images\}"):
        Schedule("linear")
    with pytest.raises(ValueError, match="'constant', 'linear' or 'cosine'; got 'step'"):
        Schedule("step")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"lr_final, .* lies in \[0, 1\]; got 1.5"):
        Schedule("linear", 100, final=1.5)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_fall_ends_at_the_final_share(kind: Literal["linear", "cosine"]) -> None:
    schedule = Schedule(kind, horizon=1000, warmup=100, final=0.25)
    assert [schedule.at(images) for images in (0, 500, 1000, 5000)] == pytest.approx([0.0, 0.625, 0.25, 0.25])
