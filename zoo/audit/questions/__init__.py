"""The questions of an audit, one file each, in the order in which a report answers them."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings.finding import Finding
from zoo.errors import UserError


class Question(Protocol):
    """A module of this package: what it asks, and how the answer is found."""

    QUESTION: str
    """In words, as the report's heading."""

    def ask(self, evidence: Evidence) -> Finding:
        """The answer.

        Raises:
            NotApplicable: when it cannot be asked of this subject or these data.
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


def question(name: str) -> Question:
    """The module that asks a question; scipy is imported with it, which the base install lacks.

    Raises:
        UserError: without it.
    """
    try:
        module: Question = import_module(f"zoo.audit.questions.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "scipy":
            raise
        raise UserError("the audit needs scipy: pip install 'gan-zoo[metrics]'") from error
    return module
