"""Copying: memorisation raises an alarm, similarity does not, and the statistics are those of their papers."""

from __future__ import annotations

import math

import pytest
import torch

from tests.helpers.audit_evidence import evidence, split
from zoo.audit.findings.builder import Handle, HypothesisTest
from zoo.audit.findings.finding import NotApplicable, Statistic
from zoo.audit.planted import Blurred, Finite, Honest, Memoriser, OneImagePerClass
from zoo.audit.questions import copying
from zoo.audit.questions.copying import _answer, run
from zoo.audit.statistics.distances import nearest
from zoo.audit.statistics.fld import generalisation_gap
from zoo.audit.statistics.memory import (
    ExchangeTest,
    authentic,
    data_copying,
    project,
    ratio_threshold,
    real_neighbours,
)
from zoo.metrics import FLD


def _only_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the slow parts, which cannot raise an alarm."""
    for slow in ("_add_data_copying", "_add_authenticity", "_add_fld_gap", "_add_figures"):
        monkeypatch.setattr(copying, slow, lambda *_: None)


def test_memorisation_raises_an_alarm() -> None:
    train, held_out, spare = split(0)
    for subject in (Memoriser(train), Memoriser(train, noise=0.05), Memoriser(train, 0.05, spare)):
        found = run(evidence(subject, train, held_out))
        assert found.flags.keys() == {"memorising"}
    assert found["exact copies"].value == pytest.approx(100 * 32 / 631)  # 600 honest images are 95 % of 631
    assert "pixel for pixel (32 distinct)" in found.answer


def test_mirrored_copies_raise_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    _only_alarms(monkeypatch)
    train, held_out, spare = split(0)
    exact = run(evidence(Memoriser(train, 0.05, spare, mirrored=True), train, held_out))
    assert exact["exact copies"].value == pytest.approx(100 * 32 / 631)
    assert "pixel for pixel, 32 of them mirrored (32 distinct)" in exact.answer
    near = run(evidence(Memoriser(train, noise=0.05, mirrored=True), train, held_out))
    assert near["excess train-set win rate in mirrored pixels"].alarm
    assert near["excess train-set win rate in mirrored pixels"].value > 90
    assert near["exact copies"].value == 0


def test_other_faults_are_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    _only_alarms(monkeypatch)
    for seed in range(3):
        train, held_out, spare = split(seed)
        labels = torch.arange(600) % 10
        for subject in (
            Honest(spare),
            Finite(spare, 10, seed),
            Blurred(spare),
            OneImagePerClass(spare, labels, seed, 0.02),
        ):
            assert not run(evidence(subject, train, held_out, seed)).flags, (seed, type(subject).__name__)


def test_an_effect_too_weak_for_an_alarm_is_reported_as_a_hint() -> None:
    copies = Handle(Statistic("exact copies", 0.0))
    win_rate = Handle(Statistic("excess train-set win rate in features", 12.0, 1.0, 22.0))

    def answer(corrected_p: float) -> str:
        text = "89 % of the real images are training images."
        weak = HypothesisTest((win_rate,), 0.0, True, "memorising", "", "exchange", text, corrected_p)
        return _answer([weak], copies, win_rate)

    assert answer(0.0024) == (
        "A hint, no alarm. 89 % of the real images are training images. However, the corrected p-value is 0.002, and "
        "an alarm requires one below 0.001."
    )
    assert "so small an effect also arises if training and held-out sets differ slightly" in answer(1e-6)
    assert "no more often than expected by chance (excess +12.0 %, 95 % interval 1.0 to 22.0 %)" in answer(0.5)
    assert answer(0.5) == _answer([], copies, win_rate)


def test_few_copies_are_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    _only_alarms(monkeypatch)
    train, held_out, spare = split(0)
    for share, status in {0.002: "passed", 0.008: "note", 0.02: "alarm"}.items():
        found = run(evidence(Memoriser(train, share, spare), train, held_out))
        assert found.status == status, (share, found.answer)
        assert found.answer.startswith("A hint, no alarm. ") == (status == "note")
        assert ("too few to rule out coincidence" in found.answer) == (status == "passed")


def test_exchange_is_exact() -> None:
    assert ExchangeTest(3, 3, 2, 2).p == 0.0  # there are only two training images
    assert ExchangeTest(2, 2, 2, 2).p == pytest.approx(1 / 6)
    assert ExchangeTest(10, 10, 100, 100).excess[0] == 1.0
    assert ExchangeTest(10, 5, 100, 100).excess[0] == 0.0
    assert ExchangeTest(0, 0, 100, 100).p == 1.0


def test_p_values_of_exchange_are_uniform_without_memorisation() -> None:
    small = 0
    for seed in range(200):
        draw = torch.Generator().manual_seed(seed)
        t, h, q = (torch.randn(n, 4, generator=draw) for n in (60, 40, 80))
        q = q[:8].repeat(10, 1) + 0.01 * torch.randn(80, 4, generator=draw)  # eight images, again and again
        small += real_neighbours(nearest(q, t, 5), nearest(q, h, 5), 60, 40).exchange().p < 0.05
    assert small <= 20  # of 200; 10 or fewer are expected


def test_a_threshold_needs_enough_images() -> None:
    assert ratio_threshold(torch.arange(99.0), 0.01) is None
    assert ratio_threshold(torch.arange(200.0), 0.01) == 1.0


def test_c_t_is_the_z_score_in_a_single_cell() -> None:
    draw = torch.Generator().manual_seed(0)
    t, p, q = (torch.randn(n, 3, generator=draw) for n in (200, 100, 80))
    a, b = torch.cdist(q, t).min(1).values, torch.cdist(p, t).min(1).values
    u = float((a[:, None] > b).sum())
    expected = (u - (100 * 80 / 2 - 0.5)) / (100 * 80 * 181 / 12) ** 0.5
    found = data_copying(t, p, q, 1, 0)
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.deviation == 1.0
    assert data_copying(t, p, t[:80], 3, 0).value < -5


def test_cells_of_twenty_generated_images_are_left_out() -> None:
    draw = torch.Generator().manual_seed(0)
    t, p, q = (torch.randn(n, 3, generator=draw) for n in (200, 100, 21))
    assert data_copying(t, p, q, 1, 0).cells == 1
    few = data_copying(t, p, q[:20], 1, 0)
    assert few.cells == 0
    assert math.isnan(few.value)


def test_the_scores_of_cells_are_weighted_by_held_out_images() -> None:
    draw = torch.Generator().manual_seed(0)
    t, p, q = (torch.randn(n, 3, generator=draw) for n in (200, 100, 80))
    far = torch.tensor([1000.0, 0, 0])
    both = data_copying(*(torch.cat([side, other + far]) for side, other in ((t, t), (p, p[:50]), (q, q[:40]))), 2, 0)
    one, two = data_copying(t, p, q, 1, 0).value, data_copying(t, p[:50], q[:40], 1, 0).value
    assert both.cells == 2
    assert both.value == pytest.approx((100 * one + 50 * two) / 150, abs=0.01)
    assert both.deviation == pytest.approx((100**2 + 50**2) ** 0.5 / 150)


def test_authenticity_by_hand() -> None:
    train = torch.tensor([[0.0], [1.0], [10.0]])
    queries = torch.tensor([[0.2], [6.0], [12.0]])
    assert authentic(nearest(queries, train), train).tolist() == [False, False, False]
    assert authentic(nearest(torch.tensor([[2.5], [25.0]]), train), train).tolist() == [True, True]


def test_projection_keeps_distances_within_the_components() -> None:
    draw = torch.Generator().manual_seed(0)
    flat = torch.randn(100, 4, generator=draw) @ torch.linalg.qr(torch.randn(80, 4, generator=draw)).Q.T
    (low,) = project(flat, width=4)
    assert torch.allclose(torch.pdist(low), torch.pdist(flat), atol=1e-4)


def test_the_gap_of_fld_sees_copies_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    t, p, q = (torch.randn(200, 4, generator=draw) for _ in range(3))
    honest, copies = generalisation_gap(t, p, q), generalisation_gap(t, p, t)
    assert honest.low < 0.0 < honest.high or abs(honest.value) < 20
    assert copies.high < -50


def test_the_gap_of_fld_is_that_of_the_metric() -> None:
    draw = torch.Generator().manual_seed(0)
    t, p, q = (torch.randn(200, 4, generator=draw) for _ in range(3))
    metric = FLD()
    metric.update(t, real=True, train=True)
    metric.update(p, real=True)
    metric.update(q, real=False)
    assert generalisation_gap(t, p, q).value == pytest.approx(float(metric.compute()["fld_gap"]), abs=0.05)


def test_too_few_images_say_how_many_are_needed() -> None:
    train, held_out, spare = split(0)
    with pytest.raises(NotApplicable, match="at least 50 held-out and 50 generated images; got 30 and 600"):
        run(evidence(Honest(spare), train, held_out[:30]))
