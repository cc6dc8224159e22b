"""A report as plain data: all findings, the verdict, and the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.audit.findings.finding import Finding
from zoo.audit.findings.verdict import sentence_of, verdict_of


@dataclass(frozen=True)
class ReportData:
    """What an audit found.

    Args:
        subject: its name.
        findings: one for each question, in order.
        about: budget, seed, extractor, sizes and digests of the image sets, versions, duration.
    """

    subject: str
    findings: tuple[Finding, ...]
    about: dict[str, Any]

    @property
    def verdict(self) -> tuple[str, ...]:
        """("healthy",), or what is wrong, or () when too little was asked."""
        return verdict_of(self.findings)

    @property
    def summary(self) -> str:
        """The verdict in a sentence, with its reasons."""
        return sentence_of(self.verdict, self.findings)

    def __getitem__(self, name: str) -> Finding:
        """A finding by the name of its question."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"this report did not ask {name!r}; it asked {[f.name for f in self.findings]}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "subject": self.subject,
            "verdict": list(self.verdict),
            "summary": self.summary,
            "about": self.about,
            "findings": [finding.as_dict() for finding in self.findings],
        }
