"""The verdict on a run as lines of the console."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UserError, shell_word
from zoo.runs.history import read_run
from zoo.runs.verdict.verdict import Verdict, verdict_of


def lines_of(verdict: Verdict, run: Path) -> list[str]:
    """Return the whole verdict, for the end of a run.

    Args:
        verdict: the verdict.
        run: the run folder, for the commands.
    """
    lines = [f"verdict: {verdict.headline}"]
    lines += [f"  {remark.topic}: {remark.text}" for remark in verdict.remarks]
    for advice in verdict.advice:
        lines += [f"next: {advice.text}", f"  why: {advice.evidence} See {advice.page}"]
    return [line.replace("=RUN", f"={shell_word(run)}").replace("`", "") for line in lines]


def line_of(verdict: Verdict) -> str:
    """Return the verdict in one line, for a measurement during the run."""
    parts = [f"verdict at {verdict.images_seen:,} images: {verdict.headline}"]
    for remark in verdict.remarks:
        if remark.topic == "coverage" and remark.tone != "unknown":
            parts.append(remark.text)
        if remark.topic == "alarms" and remark.tone == "bad":
            parts.append(remark.text)
    return " ".join(parts)


def verdict_lines(run: Path) -> list[str]:
    """Return the verdict on a run in lines; none where its records cannot be read, as on a full disk."""
    try:
        return lines_of(verdict_of(read_run(run)), run)
    except (UserError, OSError):
        return []
