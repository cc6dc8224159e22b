"""The audit: does a generator memorise, has it collapsed, how many images can it make?

`audit(subject, train, held_out)` asks ten questions and returns a report with a verdict. Each number is compared with
its null, the same number for held-out real data. The subject is a model of this library, anything else with
`sample(n)`, or a folder of images.

A public name is imported when it is first used, so that `python -m zoo.audit --help` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.audit import planted
    from zoo.audit.auditing import audit
    from zoo.audit.evidence.evidence import Evidence
    from zoo.audit.evidence.subject import Subject
    from zoo.audit.findings.finding import VERDICTS, Figure, Finding, NotApplicable, Statistic
    from zoo.audit.reporting.report import Report

_MODULES = {
    "Evidence": "zoo.audit.evidence.evidence",
    "Figure": "zoo.audit.findings.finding",
    "Finding": "zoo.audit.findings.finding",
    "NotApplicable": "zoo.audit.findings.finding",
    "Report": "zoo.audit.reporting.report",
    "Statistic": "zoo.audit.findings.finding",
    "Subject": "zoo.audit.evidence.subject",
    "VERDICTS": "zoo.audit.findings.finding",
    "audit": "zoo.audit.auditing",
}

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


def __getattr__(name: str) -> Any:
    """Import a public name or the module `planted` at its first use."""
    if name == "planted":
        return import_module("zoo.audit.planted")
    if name not in _MODULES:
        raise AttributeError(f"module 'zoo.audit' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
