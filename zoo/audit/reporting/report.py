"""The result of an audit, which can be saved as JSON, as Markdown with figures, and as an HTML page."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from zoo.audit.findings.finding import Table
from zoo.audit.findings.report import ReportData
from zoo.audit.questions import NAMES
from zoo.audit.reporting.markdown import figure_file, markdown, table_file
from zoo.audit.reporting.page import report_page
from zoo.io.files import atomic_write, printable, with_home

TABLES = ("copies",)
"""Names of the tables that questions of this library write."""


class Report(ReportData):
    """The result of an audit."""

    def save(self, folder: str | Path) -> Path:
        """Write `report.json`, `report.md` with its `figures/`, and `report.html`, a file that needs no other.

        Tables of findings, such as `copies.csv`, are written beside them. Figures and tables of an earlier report in
        the same folder are removed.

        Args:
            folder: folder of the report, created if it does not exist.

        Returns:
            The folder.

        Raises:
            OSError: when the folder cannot be written.
        """
        path = with_home(folder)
        for old in (path / "figures").glob("*.png"):
            if old.name.startswith(tuple(f"{name}-" for name in NAMES)):
                old.unlink()
        texts: dict[str, str] = {}
        for name in TABLES:
            (path / f"{name}.csv").unlink(missing_ok=True)
        for finding in self.findings:
            for figure in finding.figures:
                with atomic_write(path / figure_file(finding, figure)) as scratch:
                    scratch.write_bytes(figure.png)
            texts |= {table_file(table): _csv(table) for table in finding.tables}
        texts |= {
            "report.json": json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n",
            "report.md": markdown(self),
            "report.html": report_page(self),
        }
        for name, text in texts.items():
            with atomic_write(path / name) as scratch:
                scratch.write_text(text, encoding="utf-8")
        return path


def _csv(table: Table) -> str:
    """Write a table as the text of a CSV file, its header first."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([table.header, *table.rows])
    return printable(buffer.getvalue())
