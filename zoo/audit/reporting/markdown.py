"""A report as Markdown, with its figures as files beside it."""

from __future__ import annotations

import re
from typing import Any

from zoo.audit.findings import formatting
from zoo.audit.findings.finding import Figure, Finding
from zoo.audit.findings.report import ReportData


def markdown(report: ReportData) -> str:
    """The text of `report.md`."""
    lines = [
        f"# Audit of {plain(report.subject)}",
        "",
        f"**{plain(formatting.verdict_heading(report.verdict))}.** {plain(report.summary)}",
        "",
        "| question | answer |",
        "|---|---|",
        *(f"| [{plain(f.question)}](#{anchor(f)}) | {formatting.STATUS_LABELS[f.status]} |" for f in report.findings),
        "",
        "Numbers stand with their 95 % interval. *Expected* is the same number where real held-out images pose as the "
        "generator, or what theory says of it.",
        "",
    ]
    for finding in report.findings:
        lines += _section(finding)
    lines += ["## How it was measured", "", *_facts(report.about), ""]
    return "\n".join(lines)


def anchor(finding: Finding) -> str:
    """Where a heading is linked to, as hosts of Markdown name headings."""
    return re.sub(r"[^\w\- ]", "", finding.question.lower()).replace(" ", "-")


def figure_file(finding: Finding, figure: Figure) -> str:
    """A figure's path in a report's folder."""
    name = re.sub(r"[^A-Za-z0-9-]+", "-", f"{finding.name}-{figure.name}")
    return f"figures/{name}.png"


def plain(value: Any) -> str:
    """Text in which nothing is taken for markup, on one line."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]<>|#~$])", r"\\\1", text)


def _section(finding: Finding) -> list[str]:
    status = formatting.STATUS_LABELS[finding.status]
    lines = [f"## {plain(finding.question)}", "", f"*{status}.* {plain(finding.answer)}", ""]
    lines += [f"- **{plain(flag)}**: {plain(reason)}" for flag, reason in finding.flags.items()]
    if finding.flags:
        lines.append("")
    if finding.statistics:
        lines += ["| number | measured | expected | n | |", "|---|---|---|---|---|"]
        for s in finding.statistics:
            name = f"**{plain(s.name)}**" if s.alarm else plain(s.name)
            images = "" if s.n is None else f"{s.n:,}"
            measured, expected = formatting.measured(s), formatting.expected(s)
            lines.append(f"| {name} | {measured} | {expected} | {images} | {plain(s.description)} |")
        lines.append("")
    for figure in finding.figures:
        lines += [f"![{plain(figure.caption)}]({figure_file(finding, figure)})", "", f"*{plain(figure.caption)}*", ""]
    if finding.protocol:
        lines += ["<details><summary>Protocol</summary>", "", *_facts(finding.protocol), "", "</details>", ""]
    return lines


def _facts(facts: dict[str, Any]) -> list[str]:
    """Nested values as a list."""
    return [f"- {plain(key)}: {plain(value)}" for key, value in flat(facts)]


def flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values by their path, in words."""
    found: list[tuple[str, str]] = []
    for key, value in facts.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            found += flat(value, f"{name}, ")
        elif isinstance(value, float):
            found.append((name, f"{value:.6g}"))
        elif isinstance(value, list | tuple):
            found.append((name, ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in value)))
        elif value is not None:
            found.append((name, str(value)))
    return found
