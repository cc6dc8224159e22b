"""A report: all findings, the verdict, and how it was come by; as JSON, Markdown and a page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.audit.finding import Finding
from zoo.audit.markdown import figure_file, markdown
from zoo.audit.page import report_page
from zoo.audit.questions import NAMES
from zoo.audit.verdict import sentence_of, verdict_of
from zoo.files import whole


@dataclass(frozen=True)
class Report:
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
            "subject": self.subject, "verdict": list(self.verdict), "summary": self.summary, "about": self.about,
            "findings": [finding.as_dict() for finding in self.findings],
        }  # fmt: skip

    def save(self, folder: str | Path) -> Path:
        """Write `report.json`, `report.md` with its `figures/`, and `report.html`, which is one file by itself.

        Figures of an earlier report in the same folder are removed.

        Raises:
            OSError: when the folder cannot be written.
        """
        path = Path(folder)
        for old in (path / "figures").glob("*.png"):
            if old.name.startswith(tuple(f"{name}-" for name in NAMES)):
                old.unlink()
        for finding in self.findings:
            for figure in finding.figures:
                with whole(path / figure_file(finding, figure)) as scratch:
                    scratch.write_bytes(figure.png)
        texts = {
            "report.json": json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n",
            "report.md": markdown(self), "report.html": report_page(self),
        }  # fmt: skip
        for name, text in texts.items():
            with whole(path / name) as scratch:
                scratch.write_text(text, encoding="utf-8")
        return path
