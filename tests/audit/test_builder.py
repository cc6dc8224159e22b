"""The builder of findings: handles, decisions of tests, and the status that follows from flags and notes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from zoo.audit import Figure
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Verdict


def unchanged(p: Sequence[float]) -> Sequence[float]:
    return p


def with_tests(*tests: tuple[float, bool, Verdict, str]) -> Builder:
    """A builder with one statistic and one test for each (p, whether the effect matters, verdict, reason)."""
    builder = Builder("copying", "Does it copy?")
    for i, (p, matters, verdict, reason) in enumerate(tests):
        handle = builder.add_statistic(f"number {i}", float(i))
        builder.add_test(handle, p=p, effect_matters=matters, verdict=verdict, reason=reason)
    return builder


def test_values_with_and_without_interval_and_null() -> None:
    builder = Builder("copying", "Does it copy?")
    builder.add_statistic("plain", 3)
    builder.add_statistic("full", (3.0, 2.0, 4.0), null=(1.0, None, None), n=7, unit="%", description="short")
    builder.add_statistic("null alone", 3.0, null=0)
    finding = builder.build("No.")
    assert finding["plain"].as_dict() == {
        "name": "plain",
        "value": 3,
        "low": None,
        "high": None,
        "null": None,
        "null_low": None,
        "null_high": None,
        "n": None,
        "unit": "",
        "alarm": False,
        "says": "",
    }
    full = finding["full"]
    assert (full.value, full.low, full.high, full.null, full.null_low) == (3, 2, 4, 1, None)
    assert (full.n, full.unit, full.description) == (7, "%", "short")
    assert finding["null alone"].null == 0


def test_the_keys_of_a_statistic_on_disk_are_those_of_committed_reports() -> None:
    builder = Builder("copying", "Does it copy?")
    builder.add_statistic("x", 1.0, description="a definition")
    found = builder.build("No.").as_dict()["statistics"][0]
    assert list(found)[-1] == "says"
    assert found["says"] == "a definition"
    assert "description" not in found


def test_a_test_raises_an_alarm_only_if_it_is_significant_and_its_effect_matters() -> None:
    builder = with_tests((1e-5, True, "memorising", "a"), (1e-5, False, "blurred", "b"), (0.5, True, "noisy", "c"))
    tests = builder.decide(1e-3, unchanged)
    assert [test.raised for test in tests] == [True, False, False]
    finding = builder.build("Yes.")
    assert finding.flags == {"memorising": "a"}
    assert [statistic.alarm for statistic in finding.statistics] == [True, False, False]
    assert finding.status == "alarm"


def test_p_values_are_corrected_together() -> None:
    builder = with_tests((4e-4, True, "blurred", "a"), (6e-4, True, "noisy", "b"))
    tests = builder.decide(1e-3, lambda p: [2 * value for value in p])
    assert [test.corrected_p for test in tests] == pytest.approx([8e-4, 1.2e-3])
    assert builder.build("Yes.").flags == {"blurred": "a"}


def test_the_first_reason_for_a_verdict_is_kept_and_all_statistics_are_marked() -> None:
    builder = with_tests((1e-5, True, "memorising", "first"), (1e-6, True, "memorising", "second"))
    extra = builder.add_statistic("extra", 1.0)
    builder.decide(1e-3, unchanged)
    builder.add_flag("collapsed", "third", extra)
    finding = builder.build("Yes.")
    assert finding.flags == {"memorising": "first", "collapsed": "third"}
    assert all(statistic.alarm for statistic in finding.statistics)


@pytest.mark.parametrize(("flagged", "note", "status"), [(1, 1, "alarm"), (0, 1, "note"), (0, 0, "passed")])
def test_the_status_follows_from_flags_and_notes(flagged: int, note: int, status: str) -> None:
    builder = Builder("sharpness", "Is it sharp?")
    if flagged:
        builder.add_flag("blurred", "soft")
    assert builder.build("An answer.", note=bool(note)).status == status


def test_missing_figures_are_left_out_and_protocols_are_joined() -> None:
    builder = Builder("sharpness", "Is it sharp?")
    figure = Figure("x", "A line.", b"")
    for one in (None, figure):
        builder.add_figure(one)
    builder.add_protocol({"seed": 0})
    builder.add_protocol({"alarm at": "p below 0.001"})
    finding = builder.build("Yes.")
    assert finding.figures == (figure,)
    assert finding.protocol == {"seed": 0, "alarm at": "p below 0.001"}
