"""Builder that assembles a finding part by part: statistics, hypothesis tests, flags, figures, protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.audit.findings.finding import Figure, Finding, Statistic, Status, Table, Verdict

Estimate = tuple[float, float | None, float | None]
"""A value with the lower and the upper end of its 95 % interval, or of the range of a null."""


class Handle:
    """A statistic in a builder. Hypothesis tests and flags refer to it, and mark it when an alarm is raised.

    Args:
        statistic: the statistic as it was added.
    """

    def __init__(self, statistic: Statistic) -> None:
        self.statistic = statistic

    def mark_alarm(self) -> None:
        """Mark the statistic as one that raised an alarm."""
        self.statistic = replace(self.statistic, alarm=True)


@dataclass(frozen=True)
class HypothesisTest:
    """A test that can raise an alarm: its p-value is below the level, and its effect is large enough to matter.

    Args:
        statistics: handles of the statistics that show the effect.
        p: p-value before correction for multiple tests.
        effect_matters: whether the effect is large enough for an alarm.
        verdict: the verdict that an alarm supports.
        reason: short reason shown beside the verdict.
        kind: name shared by tests that look for the same thing in several ways.
        answer: sentence for the answer of the finding.
        corrected_p: p-value after correction for all tests of the finding.
        raised: whether the test raised an alarm.
    """

    statistics: tuple[Handle, ...]
    p: float
    effect_matters: bool
    verdict: Verdict
    reason: str
    kind: str = ""
    answer: str = ""
    corrected_p: float = 1.0
    raised: bool = False


class Builder:
    """Collects the parts of one finding.

    Args:
        name: name of the question, as in `only=`.
        question: the question as a sentence.
    """

    def __init__(self, name: str, question: str) -> None:
        self.name = name
        self.question = question
        self._handles: list[Handle] = []
        self._tests: list[HypothesisTest] = []
        self._flags: dict[Verdict, str] = {}
        self._figures: list[Figure] = []
        self._tables: list[Table] = []
        self._protocol: dict[str, Any] = {}

    def add(self, statistic: Statistic) -> Handle:
        """Append a statistic that is complete already."""
        handle = Handle(statistic)
        self._handles.append(handle)
        return handle

    def add_statistic(
        self,
        name: str,
        value: float | Estimate,
        *,
        null: float | Estimate | None = None,
        n: int | None = None,
        unit: str = "",
        alarm: bool = False,
        description: str = "",
    ) -> Handle:
        """Append a statistic.

        Args:
            name: name in plain text.
            value: the measured value, or the value with the ends of its 95 % interval.
            null: the value of the null, or the value with the ends of its range.
            n: number of images behind the value.
            unit: unit such as "%"; empty for a dimensionless number.
            alarm: whether the statistic raises an alarm by itself.
            description: a short definition of the statistic.

        Returns:
            A handle for hypothesis tests and flags.
        """
        value, low, high = value if isinstance(value, tuple) else (value, None, None)
        null, null_low, null_high = null if isinstance(null, tuple) else (null, None, None)
        return self.add(Statistic(name, value, low, high, null, null_low, null_high, n, unit, alarm, description))

    def add_test(
        self,
        *statistics: Handle,
        p: float,
        effect_matters: bool,
        verdict: Verdict,
        reason: str,
        kind: str = "",
        answer: str = "",
    ) -> None:
        """Append a hypothesis test about statistics that were added before; see `HypothesisTest` for the arguments."""
        self._tests.append(HypothesisTest(statistics, p, effect_matters, verdict, reason, kind, answer))

    def decide(self, level: float, correct: Callable[[Sequence[float]], Iterable[float]]) -> list[HypothesisTest]:
        """Decide all tests: flag the verdict of every significant test whose effect matters.

        Args:
            level: corrected p-values below this level are significant.
            correct: corrects p-values for their number, in their order.

        Returns:
            The tests, in the order in which they were added, with corrected p-values and decisions.
        """
        corrected = correct([test.p for test in self._tests])
        self._tests = [
            replace(test, corrected_p=float(p), raised=bool(p < level and test.effect_matters))
            for test, p in zip(self._tests, corrected)
        ]
        for test in self._tests:
            if test.raised:
                self.add_flag(test.verdict, test.reason, *test.statistics)
        return self._tests

    def add_flag(self, verdict: Verdict, reason: str, *statistics: Handle) -> None:
        """Raise an alarm for a verdict: the finding gets the status `alarm`.

        Args:
            verdict: the verdict that the alarm supports.
            reason: short reason shown beside the verdict; ignored if the verdict has one already.
            *statistics: handles of the statistics that show it; they are marked as having raised an alarm.
        """
        self._flags.setdefault(verdict, reason)
        for handle in statistics:
            handle.mark_alarm()

    def add_figure(self, figure: Figure | None) -> None:
        """Append a figure; None, the result of a plot without matplotlib, is ignored."""
        if figure is not None:
            self._figures.append(figure)

    def add_table(self, table: Table) -> None:
        """Append a table that becomes a file beside the report."""
        self._tables.append(table)

    def add_protocol(self, entries: Mapping[str, Any]) -> None:
        """Append entries to the protocol."""
        self._protocol.update(entries)

    def build(self, answer: str, *, note: bool = False) -> Finding:
        """Assemble the finding.

        Args:
            answer: one or two sentences that can be understood without the statistics.
            note: whether a finding without flags has something to read all the same.

        Returns:
            A finding with the status `alarm` if a verdict was flagged, else `note` or `passed`.
        """
        status: Status = "alarm" if self._flags else "note" if note else "passed"
        return Finding(
            self.name,
            self.question,
            status,
            answer,
            tuple(handle.statistic for handle in self._handles),
            self._flags,
            tuple(self._figures),
            self._protocol,
            tables=tuple(self._tables),
        )
