"""A report as Markdown, with its figures as files beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from zoo.audit.findings import formatting
from zoo.audit.findings.finding import Figure, Finding, Table
from zoo.audit.findings.report import ReportData
from zoo.audit.reporting.facts import flatten
from zoo.rendering.templating import render

TEMPLATE = Path(__file__).with_name("templates") / "report.md"


def markdown(report: ReportData) -> str:
    """Write the text of `report.md`."""
    functions = {
        "plain": plain,
        "anchor": anchor,
        "figure_file": figure_file,
        "flatten": flatten,
        "formatting": formatting,
    }
    return render(TEMPLATE, report=report, **functions)


def anchor(finding: Finding) -> str:
    """Return the anchor of a finding's heading, formed as hosts of Markdown form anchors."""
    return re.sub(r"[^\w\- ]", "", finding.question.lower()).replace(" ", "-")


def figure_file(finding: Finding, figure: Figure) -> str:
    """Return the path of a figure inside the folder of a report."""
    name = re.sub(r"[^A-Za-z0-9-]+", "-", f"{finding.name}-{figure.name}")
    return f"figures/{name}.png"


def table_file(table: Table) -> str:
    """Return the path of a table inside the folder of a report."""
    return f"{re.sub(r'[^A-Za-z0-9-]+', '-', table.name)}.csv"


def plain(value: Any) -> str:
    """Escape a value so that Markdown takes nothing in it for markup, and put it on one line."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]<>|#~$])", r"\\\1", text)
