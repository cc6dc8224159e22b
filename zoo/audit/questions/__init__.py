"""The questions of an audit, one module each, in the order of the report.

To add a question:

1. Write `zoo/audit/questions/NAME.py` with the two attributes of the protocol `Question`: `QUESTION`, the question as a
   sentence, and `run(evidence)`, which returns a `Finding` assembled by `zoo.audit.findings.builder.Builder("NAME",
   QUESTION)`. `run` raises `NotApplicable`, with the reason and the remedy, if the subject or the data do not suffice.
   `zoo.audit.evidence.evidence.Evidence` provides images, features, distances and scores, computed once for all
   questions, and `evidence.rng(purpose)` provides random numbers. Statistics and hypothesis tests that other questions
   could use belong in `zoo.audit.statistics`.
2. Add the name to `NAMES` below, which also makes it known to `only=` and to the help of `python -m zoo.audit`.
3. Write `tests/audit/test_NAME.py`: subjects of `zoo.audit.planted` with the fault raise the alarm, `planted.Honest`
   does not, too few images raise `NotApplicable`, and statistics are compared with known values.
4. If the question can raise an alarm, name its verdict in `zoo.audit.findings.finding.VERDICTS`, and count false alarms
   with `studies/planted_faults.py`. Describe the question in `docs/audit.md`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings.finding import Finding
from zoo.config.building import build
from zoo.config.class_names import find_class
from zoo.errors import UserError


class Question(Protocol):
    """The interface of a question's module."""

    QUESTION: str
    """The question as a sentence, the heading of its section in the report."""

    def run(self, evidence: Evidence) -> Finding:
        """Answer the question from the evidence.

        Raises:
            NotApplicable: if the question does not apply to the subject or the data.
        """
        ...


NAMES = (
    "discriminator",
    "copying",
    "support",
    "coverage",
    "sharpness",
    "recovery",
    "usefulness",
    "fresh_discriminator",
    "smoothness",
    "weights",
)
"""Names of the questions, in the order of the report."""


def question(name: str) -> Question:
    """Import the module of a question.

    Args:
        name: name of a question, or the import path of a class of the user's own, such as `my_ideas.Symmetry`, which
            has the attributes of `Question`.

    Raises:
        UserError: if the user's class is no question.
    """
    if "." in name:
        return _own(name)
    module: Question = import_module(f"zoo.audit.questions.{name}")
    return module


def _own(path: str) -> Question:
    """Return a question of the user's own by its import path."""
    found = find_class(path)
    own = build(found, {}, f"only: {path}") if isinstance(found, type) else found
    if not (isinstance(getattr(own, "QUESTION", None), str) and callable(getattr(own, "run", None))):
        raise UserError(
            f"only: {path} is no question: a class that has QUESTION, the question as a sentence, and "
            "run(self, evidence), which returns a zoo.audit.Finding"
        )
    asked: Question = own
    return asked
