"""The audit: does a generator memorise, has it collapsed, how many images can it make?

`audit(subject, train, held_out)` asks ten questions and returns a report with a verdict. Each number is compared with
its null, the same number for held-out real data. The subject is a model of this library, anything else with
`sample(n)`, or a folder of images.
"""

from __future__ import annotations

from zoo.audit import planted
from zoo.audit.auditing import audit
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.subject import Subject
from zoo.audit.findings.finding import VERDICTS, Figure, Finding, NotApplicable, Statistic
from zoo.audit.reporting.report import Report

__all__ = [
    "VERDICTS",
    "Evidence",
    "Figure",
    "Finding",
    "NotApplicable",
    "Report",
    "Statistic",
    "Subject",
    "audit",
    "planted",
]
