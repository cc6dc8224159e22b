"""`python -m zoo.audit checkpoint=RUN`: ask a generator what its users should know, and write the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.audit.auditing import ProgressListener, audit, chosen_questions
from zoo.audit.evidence.budget import BUDGETS
from zoo.audit.evidence.budget import budget as budget_named
from zoo.audit.findings import formatting
from zoo.audit.findings.finding import Finding, Status
from zoo.audit.opening import Opened, open_checkpoint, open_folders
from zoo.audit.questions import NAMES
from zoo.audit.reporting.report import Report
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError, first_line
from zoo.features import extractor as extractor_named
from zoo.training.hardware import select_device

COLOURS: dict[Status, str] = {"alarm": "bold red", "passed": "green", "note": "yellow", "skipped": "dim"}


def audited(
    checkpoint: str | None = None,
    data: dict[str, Any] | None = None,
    fake: str | None = None,
    train: str | None = None,
    held_out: str | None = None,
    only: str | list[str] | None = None,
    budget: str = "standard",
    out: str | None = None,
    seed: int = 0,
    extractor: str = "",
    options: dict[str, Any] | None = None,
    device: str = "auto",
    cls: str | list[str] | None = None,
) -> Report:
    """Audit, say what was found, write the report.

    Args:
        checkpoint: a run folder, a checkpoint file, or a release: its name, folder or file, or `hf:ORG/NAME`.
        data: settings in place of those of its recipe's data.
        fake: instead of a checkpoint, a folder of generated images.
        train: a folder of training images, with `fake`, or in place of the recipe's data.
        held_out: a folder of images that training never saw.
        only: names of questions, a list or joined by commas; None asks all.
        budget: `quick`, `standard` or `full`.
        out: folder of the report.
        seed: of every random draw.
        extractor: of features; empty for the one that suits the data without a download.
        options: of the extractor.
        device: `auto`, `cpu` or `cuda`.
        cls: import path of a class of the user's own that a release was made of.

    Raises:
        UserError: for what cannot be audited, before anything long begins.
    """
    if (checkpoint is None) == (fake is None):
        raise UserError("give either checkpoint=RUN, or folders of images: fake=FOLDER train=FOLDER held_out=FOLDER")
    if (train is None) != (held_out is None) or (fake is not None and train is None):
        missing = "train" if train is None else "held_out"
        raise UserError(
            f"{missing}=FOLDER is missing: an audit needs the images of the training, and others of the same origin "
            "that it never saw"
        )
    if data and train is not None:
        raise UserError("give either data.KEY=VALUE, or train=FOLDER held_out=FOLDER, not both")
    questions = chosen_questions(only)
    budget_named(budget)
    where = select_device(device)
    if extractor:
        extractor_named(extractor, **(options or {}))
    console = _console()
    with console.status("opening model and data"):
        if checkpoint is not None:
            folders = None if train is None or held_out is None else (train, held_out)
            opened = open_checkpoint(checkpoint, dict(data or {}), where, folders, cls)
        else:
            assert fake is not None
            assert train is not None
            assert held_out is not None
            opened = open_folders(fake, train, held_out)
        network = extractor_named(extractor or opened.extractor, **(options or {})).to(where)
    folder = _writable(Path(out) if out else opened.out)
    console.print(f"audit of {opened.name}, budget {budget}", markup=False, highlight=False)
    watcher = Shown(console)
    with watcher.status:
        report = audit(
            opened.subject,
            opened.train,
            opened.held_out,
            budget=budget,
            seed=seed,
            only=questions,
            features=network,
            name=opened.name,
            extras={"history": opened.history} if opened.history else None,
            watcher=watcher,
            keep=True,
        )
    report = replace(report, about=opened.about | report.about)
    try:
        report.save(folder)
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}") from error
    show(console, report, opened)
    console.print(f"report: {folder / 'report.html'} (also report.md, report.json)", markup=False, highlight=False)
    return report


class Shown(ProgressListener):
    """A line for each question as it is answered; in a terminal, what is being done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.status = console.status("")
        self.asked = ""

    def asking(self, name: str, question: str) -> None:
        """Show the question."""
        self.asked = question
        self.status.update(Text(question))

    def step(self, text: str) -> None:
        """Show what is being done for it."""
        self.status.update(Text.assemble(self.asked, ("  " + text, "dim")))

    def answered(self, finding: Finding) -> None:
        """Leave a line behind."""
        colour = COLOURS[finding.status]
        flags = f": {', '.join(finding.flags)}" if finding.flags else ""
        line = Text.assemble(
            (f"{formatting.STATUS_SIGNS[finding.status]} ", colour),
            finding.question,
            "  ",
            (formatting.STATUS_LABELS[finding.status] + flags, colour),
            (f"  {finding.seconds:.1f} s", "dim"),
        )
        self.console.print(line)


def show(console: Console, report: Report, opened: Opened) -> None:
    """The answers in a table, and the verdict."""
    table = Table(title="findings", title_justify="left", show_lines=True)
    for name in ("question", "", "answer"):
        table.add_column(name)
    for finding in report.findings:
        state = Text(formatting.STATUS_LABELS[finding.status], COLOURS[finding.status])
        table.add_row(Text(finding.question), state, Text(finding.answer))
    console.print(table)
    colour = "bold green" if report.verdict == ("healthy",) else "bold red" if report.verdict else "bold yellow"
    console.print(Text.assemble("verdict: ", (formatting.verdict_heading(report.verdict), colour)))
    console.print(Text(report.summary))
    if "note" in opened.about:
        console.print(Text(f"note: {opened.about['note']}"))


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=120)  # a file or a pipe has no width


def _writable(folder: Path) -> Path:
    """The folder, made; asked before the work, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}") from error
    return folder


def main(**given: Any) -> None:
    """Placeholder; the text is below, where it can list the questions."""
    try:
        audited(**checked_arguments(audited, given))
    except ValueError as error:  # of an extractor
        if isinstance(error, UserError):
            raise
        raise UserError(first_line(error)) from error


main.__doc__ = f"""Ask a generator what its users should know: does it copy, has it collapsed, how much can it draw?

checkpoint=RUN             a run folder, a checkpoint file, or a release: dcgan_digits, FOLDER, hf:ORG/NAME
data.KEY=VALUE             other data than those of its recipe: data.root=photos, data.class=Folder data.held_out=0.1
fake=FOLDER                instead of a checkpoint: generated images of any generator
train=FOLDER               the training images: with fake=, or in place of the recipe's data
held_out=FOLDER            images of the same origin that training never saw: what every number is held against
budget=standard            {", ".join(BUDGETS)}: to glance, to decide, to publish
only=copying,support       some questions, of the list below
extractor=effnet-lite0     of features; left out, the one that suits the data
options.weights=PATH       of the extractor
seed=0 device=auto out=FOLDER
cls=my_ideas.Mine          the class, where it is one of your own and checkpoint is a release

questions
  {", ".join(NAMES)}

The report is out/report.html, with report.md and report.json; docs/audit.md explains how to read it."""


if __name__ == "__main__":
    run_command("audit", main)
