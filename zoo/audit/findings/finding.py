"""The answer to one question of an audit: statistics with intervals and nulls, a text, flags and figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

VERDICTS = (
    "memorising",
    "collapsed",
    "dropping classes",
    "blurred",
    "noisy",
    "discriminator overfitted",
)
"""Faults that an audit can name, most severe first. A subject without any of them is healthy."""

Verdict = Literal["memorising", "collapsed", "dropping classes", "blurred", "noisy", "discriminator overfitted"]
Status = Literal["alarm", "passed", "note", "skipped"]


class NotApplicable(Exception):  # noqa: N818 - nothing went wrong
    """Exception for a question that does not apply to the subject or the data; its message explains what is missing."""


@dataclass(frozen=True)
class Statistic:
    """A measured number with its 95 % interval and its null.

    Args:
        name: name in plain text, such as "exact copies".
        value: the value measured on the generated images.
        low: lower end of the 95 % interval; None if there is no interval.
        high: upper end of the 95 % interval.
        null: the value of the same statistic when held-out real images stand in for the generated ones, or its value by
            theory; None if the statistic has no null.
        null_low: lower end of the range of the null.
        null_high: upper end of the range of the null.
        n: number of images behind the value.
        unit: unit such as "%" or "images"; empty for a dimensionless number.
        alarm: whether this statistic raised an alarm.
        description: a short definition of the statistic; stored under the key `says`.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    null: float | None = None
    null_low: float | None = None
    null_high: float | None = None
    n: int | None = None
    unit: str = ""
    alarm: bool = False
    description: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; numbers that are not finite, such as open bounds, become None."""
        values = {key: _json_value(value) for key, value in vars(self).items()}
        values["says"] = values.pop("description")
        return values


@dataclass(frozen=True)
class Figure:
    """A picture of a finding.

    Args:
        name: file name without suffix: letters, digits and dashes.
        caption: description in a sentence or two; also the alternative text.
        content: content of the PNG file, or a function that draws it, which is called when the file is asked for:
            drawing the plots of an audit takes as long as its small questions, and whoever reads only the verdict needs
            none.
        plot: whether the picture is a plot on a light background, which a dark page may invert; images keep their
            colours.
    """

    name: str
    caption: str
    content: bytes | Callable[[], bytes] = field(repr=False, compare=False)
    plot: bool = False

    @cached_property
    def png(self) -> bytes:
        """Content of the PNG file."""
        return self.content if isinstance(self.content, bytes) else self.content()


@dataclass(frozen=True)
class Table:
    """A table of a finding that has too many rows for the page; `Report.save` writes it as a CSV file.

    Args:
        name: file name without suffix: letters, digits and dashes.
        header: names of the columns.
        rows: the rows, each with a value for every column.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Args:
        name: name of the question, as in `only=`.
        question: the question as a sentence.
        status: `alarm` if a flag was raised; `note` if there is something to read that is no fault by itself; `passed`;
            `skipped` if the question does not apply, with the reason as the answer.
        answer: one or two sentences that can be understood without the statistics.
        statistics: the statistics, in the order of the report.
        flags: verdicts that this finding supports, each with a short reason.
        figures: the pictures.
        protocol: how the statistics were measured: sizes, extractor, thresholds, seeds.
        seconds: duration in seconds.
        tables: tables that are files of their own beside the report.
    """

    name: str
    question: str
    status: Status
    answer: str
    statistics: tuple[Statistic, ...] = ()
    flags: dict[Verdict, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    protocol: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    tables: tuple[Table, ...] = ()

    def __getitem__(self, name: str) -> Statistic:
        """Return the statistic of this name."""
        for statistic in self.statistics:
            if statistic.name == name:
                return statistic
        raise KeyError(f"{self.name} has no statistic {name!r}; it has {[s.name for s in self.statistics]}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; figures by name and caption, without tables."""
        return {
            "name": self.name,
            "question": self.question,
            "status": self.status,
            "answer": self.answer,
            "flags": dict(self.flags),
            "statistics": [s.as_dict() for s in self.statistics],
            "figures": [{"name": f.name, "caption": f.caption} for f in self.figures],
            "protocol": {key: _json_value(value) for key, value in self.protocol.items()},
            "seconds": round(self.seconds, 2),
        }


def _json_value(value: Any) -> Any:
    """Return the value, or None for a float that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
