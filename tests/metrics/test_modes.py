"""Truths of mode counts, class histograms and the Inception Score's ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.metric_features import values
from zoo.data import Grid, Ring
from zoo.metrics import ClassHistogram, InceptionScore, ModeCount


def points_of(source: Ring | Grid, n: int, modes: int, seed: int = 0) -> Tensor:
    """Honest points (n, 2, 1, 1) of the first modes."""
    draw = np.random.default_rng(seed)
    which = draw.integers(modes, size=n)
    points = source.centres[which] + source.deviation * draw.standard_normal((n, 2))
    return torch.from_numpy(points).float().view(n, 2, 1, 1)


@pytest.mark.parametrize(("source", "modes"), [(Ring(), 8), (Grid(), 25)])
def test_honest_points_reach_all_modes(source: Ring | Grid, modes: int) -> None:
    """The share within 3 deviations in the plane is 1 - exp(-4.5)."""
    points = points_of(source, 20_000, modes)
    metric = ModeCount(centres=source.centres, deviation=source.deviation)
    found = values(metric, points, points)
    assert found["modes"] == modes
    assert found["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert found["kl"] == pytest.approx(0, abs=0.002)
    assert found["kl_to_real"] == 0
    wider = ModeCount(centres=source.centres, deviation=source.deviation, reach=4)
    assert values(wider, points, points)["high_quality"] == pytest.approx(1 - math.exp(-8), abs=0.001)


def test_dropped_modes_are_missed_and_cost_their_logarithm() -> None:
    ring = Ring()
    metric = ModeCount(centres=ring.centres, deviation=ring.deviation)
    metric.update(points_of(ring, 4000, 2), real=False)
    found = metric.compute()
    assert found["modes"] == 2
    assert found["kl"].item() == pytest.approx(math.log(4), abs=1e-3)
    assert "kl_to_real" not in found


def test_points_between_the_modes_count_for_none() -> None:
    ring = Ring()
    metric = ModeCount(centres=ring.centres, deviation=ring.deviation)
    metric.update(torch.zeros(10, 2), real=False)
    found = metric.compute()
    assert (found["modes"], found["high_quality"]) == (0, 0)
    assert math.isnan(found["kl"])
    metric.update(points_of(ring, 30, 1).clamp(max=ring.centres[0, 0].item()), real=False)
    assert metric.compute()["high_quality"].item() == pytest.approx(0.75, abs=0.1)


def test_a_thousand_classes() -> None:
    classes = torch.arange(25_000) % 1000
    real = torch.cat([classes, torch.zeros(25_000, dtype=torch.long)])
    found = values(ModeCount(modes=1000), real, classes)
    assert (found["modes"], found["kl"]) == (1000, pytest.approx(0, abs=1e-12))
    # the real side has class 0 with 1001 / 2000 and every other with 1 / 2000
    expected = (999 * math.log(2) + math.log(2000 / 1001 / 1000)) / 1000
    assert found["kl_to_real"] == pytest.approx(expected, rel=1e-9)
    half = values(ModeCount(modes=1000), real, classes[classes < 500])
    assert (half["modes"], half["kl"]) == (500, pytest.approx(math.log(2)))


def test_what_the_real_side_lacks_is_infinitely_far() -> None:
    assert values(ModeCount(modes=3), torch.tensor([0, 1]), torch.tensor([0, 2]))["kl_to_real"] == math.inf


def test_class_histograms() -> None:
    real, fake = torch.tensor([0] * 50 + [1] * 30 + [2] * 20), torch.tensor([0] * 30 + [1] * 70)
    found = values(ClassHistogram(4), real, fake)
    assert found["class_distance"] == pytest.approx(0.4)
    assert found["classes_missing"] == 1
    stats = pytest.importorskip("scipy.stats")
    assert found["class_p"] == pytest.approx(stats.chi2_contingency([[50, 30, 20], [30, 70, 0]]).pvalue, rel=1e-9)
    same = values(ClassHistogram(4), real, real)
    assert (same["class_distance"], same["class_p"], same["classes_missing"]) == (0, 1, 0)
    apart = values(ClassHistogram(4), real, torch.full((9,), 3))
    assert apart["class_distance"] == 1


def test_honest_p_values_are_uniform() -> None:
    draw = torch.Generator().manual_seed(0)
    sides = torch.randint(0, 10, (300, 2, 500), generator=draw)
    found = np.array([values(ClassHistogram(10), real, fake)["class_p"] for real, fake in sides])
    assert np.mean(found < 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(found < 0.5) == pytest.approx(0.5, abs=0.08)


def test_logits_count_as_their_largest() -> None:
    classes = torch.tensor([0, 2, 2, 1])
    logits = 5 * torch.eye(3)[classes]
    assert values(ClassHistogram(3), logits, classes)["class_distance"] == 0


def test_inception_score_lies_between_1_and_the_number_of_classes() -> None:
    sure = 1000 * torch.eye(7)[torch.arange(7 * 40) % 7]
    for logits, expected in ((sure, 7.0), (torch.zeros(100, 7), 1.0), (sure[::7], 1.0)):
        found = values(InceptionScore(splits=4, shuffle=False), logits[:1], logits)
        assert found["is"] == pytest.approx(expected, rel=1e-6)


def test_samples_sorted_by_class_need_shuffling() -> None:
    logits = 1000 * torch.eye(10)[torch.arange(1000) // 100]
    assert values(InceptionScore(shuffle=False), logits, logits)["is"] == pytest.approx(1)
    assert values(InceptionScore(), logits, logits)["is"] > 9


def test_it_is_said_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="modes=N for classes, or centres= and deviation= for points"):
        ModeCount()
    with pytest.raises(ValueError, match="modes=N for classes, or centres= and deviation= for points"):
        ModeCount(centres=torch.zeros(2, 2))
    with pytest.raises(ValueError, match="classes must lie in 0 to 2; got 3"):
        ModeCount(modes=3).update(torch.tensor([0, 3]), real=True)
    with pytest.raises(ValueError, match="classes must be whole numbers"):
        ModeCount(modes=3).update(torch.tensor([0.5]), real=True)
    with pytest.raises(ValueError, match=r"points must be \(B, 2\) as the centres are; got \(4, 3\)"):
        ModeCount(centres=torch.zeros(2, 2), deviation=1.0).update(torch.zeros(4, 3), real=True)
    with pytest.raises(ValueError, match=r"logits must be \(B, 4\); got \(2, 3\)"):
        ClassHistogram(4).update(torch.zeros(2, 3), real=True)
    with pytest.raises(ValueError, match="is with splits=10 needs at least 10 generated samples; got 3"):
        values(InceptionScore(), torch.zeros(3, 5), torch.zeros(3, 5))
