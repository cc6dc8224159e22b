"""The report of an audit as plain data: findings, verdict and protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.audit.findings.finding import Finding
from zoo.audit.findings.verdict import summary_of, verdict_of


@dataclass(frozen=True)
class ReportData:
    """The result of an audit.

    Args:
        subject: name of the audited subject.
        findings: one finding for each question, in the order of the report.
        about: budget, seed, extractor, sizes and digests of the image sets, versions, duration.
    """

    subject: str
    findings: tuple[Finding, ...]
    about: dict[str, Any]

    @property
    def verdict(self) -> tuple[str, ...]:
        """The verdicts flagged, or ("healthy",), or () if too few questions could be answered; see `verdict_of`."""
        return verdict_of(self.findings)

    @property
    def summary(self) -> str:
        """The verdict in a sentence, with the reasons for it."""
        return summary_of(self.verdict, self.findings)

    def __getitem__(self, name: str) -> Finding:
        """Return the finding of the question of this name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"this report has no finding {name!r}; it has {[f.name for f in self.findings]}")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "subject": self.subject,
            "verdict": list(self.verdict),
            "summary": self.summary,
            "about": self.about,
            "findings": [finding.as_dict() for finding in self.findings],
        }
