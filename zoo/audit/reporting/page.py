"""A report as one HTML page: the verdict, and a section for each question with its numbers and what was expected."""

from __future__ import annotations

from pathlib import Path

from zoo.audit.findings import formatting
from zoo.audit.findings.report import ReportData
from zoo.audit.reporting.facts import flatten
from zoo.audit.reporting.number_line import number_line_of
from zoo.rendering.templating import render

TEMPLATE = Path(__file__).with_name("templates") / "report.html"


def report_page(report: ReportData, note: str = "") -> str:
    """Write the text of `report.html`, one file that runs no script and fetches nothing.

    Args:
        report: the report.
        note: a sentence shown below the verdict.
    """
    return render(
        TEMPLATE,
        title=f"Audit of {report.subject}",
        report=report,
        note=note,
        formatting=formatting,
        flatten=flatten,
        number_line_of=number_line_of,
    )
