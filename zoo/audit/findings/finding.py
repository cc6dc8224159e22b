"""What one question of an audit answers: numbers with intervals and nulls, a sentence, flags and pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

VERDICTS = (
    "memorising",
    "collapsed",
    "dropping classes",
    "blurred",
    "noisy",
    "discriminator overfitted",
)
"""What can be wrong. A subject without any of these is healthy."""

Verdict = Literal["memorising", "collapsed", "dropping classes", "blurred", "noisy", "discriminator overfitted"]
Status = Literal["alarm", "passed", "note", "skipped"]


class NotApplicable(Exception):  # noqa: N818 - nothing went wrong
    """A question that cannot be asked of this subject or these data; the text says why, and what would be needed."""


@dataclass(frozen=True)
class Statistic:
    """A number, its interval, and what it is on held-out real data.

    Args:
        name: in words, such as "copying rate".
        value: as measured on the generated images.
        low: lower end of the 95 % interval; None where there is none.
        high: upper end.
        null: the same statistic where the generator is real held-out data, or what theory says it is there; None where
            it has no meaning.
        null_low: lower end of the null's range.
        null_high: upper end.
        n: images behind it.
        unit: such as "%", "images"; empty for a plain number.
        alarm: whether this number is one that rings.
        says: what the number is, in a short sentence.
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
    says: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not finite becomes None, and infinite bounds are open."""
        return {key: _plain(value) for key, value in vars(self).items()}


@dataclass(frozen=True)
class Figure:
    """A picture of a finding.

    Args:
        name: of its file, without suffix: letters, digits and dashes.
        caption: what is to be seen, in a sentence or two; also the text for those who cannot see it.
        png: the file's bytes.
        plot: whether it shows numbers on a light ground, which a dark page may invert; images keep their colours.
    """

    name: str
    caption: str
    png: bytes
    plot: bool = False


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Args:
        name: of the question, as in `only=`.
        question: in words.
        status: `alarm` when a flag was raised; `note` for what should be read but says nothing is wrong; `passed`;
            `skipped` when it could not be asked, with the reason as answer.
        answer: one or two sentences that a person understands without the numbers.
        statistics: the numbers.
        flags: verdicts that this finding supports, each with the reason in a few words.
        figures: pictures.
        protocol: how it was measured: sizes, extractor, thresholds, seeds.
        seconds: it took.
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

    def __getitem__(self, name: str) -> Statistic:
        """A statistic by its name."""
        for statistic in self.statistics:
            if statistic.name == name:
                return statistic
        raise KeyError(f"{self.name} has no statistic {name!r}; it has {[s.name for s in self.statistics]}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; figures by name and caption."""
        return {
            "name": self.name,
            "question": self.question,
            "status": self.status,
            "answer": self.answer,
            "flags": dict(self.flags),
            "statistics": [s.as_dict() for s in self.statistics],
            "figures": [{"name": f.name, "caption": f.caption} for f in self.figures],
            "protocol": {key: _plain(value) for key, value in self.protocol.items()},
            "seconds": round(self.seconds, 2),
        }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
