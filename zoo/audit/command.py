"""Audit a generator and show the report: the work of `python -m zoo.audit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.audit.auditing import ProgressListener, audit, chosen_questions
from zoo.audit.evidence.budget import budget as budget_named
from zoo.audit.findings import formatting
from zoo.audit.findings.finding import Finding, Status
from zoo.audit.opening import Opened, open_checkpoint, open_folders
from zoo.audit.reporting.report import Report
from zoo.data.given_folder import folder_settings
from zoo.errors import UserError, first_line
from zoo.features import extractor as extractor_named
from zoo.io.files import with_home
from zoo.io.progress import LateLines
from zoo.training.hardware import select_device

COLOURS: dict[Status, str] = {"alarm": "bold red", "passed": "green", "note": "yellow", "skipped": "dim"}


def run_audit(
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
    labels: str | None = None,
    resolution: int = 0,
) -> Report:
    """Audit a generator: whether it copies, whether it has collapsed, how many images it can draw.

    The report is written to out/report.html, with report.md and report.json; docs/audit.md explains how to read it.

    Args:
        checkpoint: run folder, checkpoint file, or release (its name, its folder or file, or hf:ORG/NAME).
        data: settings in place of those of the recipe's data, such as data.class=Folder data.root=photos; for folders
            those of reading files: data.on_corrupt, data.value_range, data.background, data.match and data.cache.
        fake: folder of images of any generator, or a .zip, .npz or .npy file of them, instead of a checkpoint.
        train: folder, or file, of training images: with `fake`, or in place of the recipe's data.
        held_out: folder, or file, of images of the same origin as `train` that the training never saw.
        only: names of questions, a list or joined by commas; None for all: discriminator, copying, support, coverage,
            sharpness, recovery, usefulness, fresh_discriminator, smoothness, weights. A question of your own is named
            by the path of its class, as in only=all,my_ideas.Symmetry.
        budget: amount of work: quick for a glance, standard for a decision, full for a publication.
        out: folder of the report; None for audit/ in the run's folder, or audit-NAME for a release.
        seed: seed of every random draw.
        extractor: network that computes the features: effnet-lite0, digits, stacked-digits, mnist, stacked-mnist,
            pixels or points; inception, inception-clean, inception-legacy-pytorch, inception-torchvision,
            inception-spatial, dinov2-dgm, dinov2-torch-fidelity, clip-vit-b32, clip-vit-b32-torch-fidelity; sscd or
            sscd-distilled; timm:NAME; or the path of your own class; empty for the one that suits the data without a
            download.
        options: settings of the extractor, such as options.weights=PATH.
        device: device to compute on: auto, cpu or cuda.
        cls: import path of your own class that a release was made of.
        labels: classes of the images of folders: `subfolders` that name them, a CSV file with rows path,class, or
            `none`; None takes subfolders for classes if those of `train` and `held_out` have the same names.
        resolution: height and width in pixels at which images of folders are compared; 0 for the most common size of
            the generated ones.

    Returns:
        The report.

    Raises:
        UserError: for a model or images that cannot be audited; raised before any long computation.

    Examples:
        python -m zoo.audit checkpoint=dcgan_digits budget=quick
        python -m zoo.audit checkpoint=runs/dcgan_celeba/TIME only=copying,support
        python -m zoo.audit fake=FOLDER train=FOLDER held_out=FOLDER out=report
    """
    _check_sources(checkpoint, fake, train, held_out)
    reading = folder_settings(data) if train is not None else None
    questions = chosen_questions(only)
    budget_named(budget)
    where = select_device(device)
    if extractor:
        extractor_named(extractor, **(options or {}))
    console = _console()
    with console.status("opening model and data"):
        folders = None if train is None or held_out is None else (train, held_out)
        if checkpoint is not None:
            changes = {} if folders else dict(data or {})
            opened = open_checkpoint(checkpoint, changes, where, folders, cls)
        else:
            assert fake is not None
            assert folders is not None
            opened = open_folders(fake, *folders)
        network = extractor_named(extractor or opened.extractor, **(options or {})).to(where)
    folder = _created(with_home(out) if out else opened.out)
    console.print(f"audit of {opened.name}, budget {budget}", markup=False, highlight=False)
    watcher = ConsoleProgress(console)
    with watcher.status, closing_step(watcher):
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
            labels=labels,
            resolution=resolution,
            data=reading,
        )
    report = replace(report, about=opened.about | report.about)
    try:
        report.save(folder)
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}") from error
    show(console, report, opened)
    console.print(f"report: {folder / 'report.html'} (also report.md, report.json)", markup=False, highlight=False)
    return report


class ConsoleProgress(ProgressListener):
    """Progress of an audit in the console: a line for each answer, and for each step that takes long.

    A terminal shows the current step all the time instead.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.status = console.status("")
        self.question = ""
        self.late = None if console.is_terminal else LateLines(lambda text: console.print(Text(f"  {text}", "dim")))

    def asking(self, name: str, question: str) -> None:
        """Show the question that is asked now."""
        self.question = question
        self.step("")

    def step(self, text: str) -> None:
        """Show the current step of the question."""
        self.advanced(text, 0, None)

    def advanced(self, text: str, done: int, total: int | None) -> None:
        """Show the current step and how much of it is done."""
        if self.late is not None:
            self.late.tell(text or self.question, done, total)
            return
        counted = f": {done:,} of {total:,}" if total else ""
        self.status.update(Text.assemble(self.question, (f"  {text}{counted}", "dim")))

    def stop(self) -> None:
        """End the current step."""
        if self.late is not None:
            self.late.stop()

    def answered(self, finding: Finding) -> None:
        """Print a line with the state of the answer, its flags and the seconds it took."""
        self.stop()
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


@contextmanager
def closing_step(watcher: ConsoleProgress) -> Iterator[None]:
    """End the last step also when the audit stops with an error, after which no line may follow."""
    try:
        yield
    finally:
        watcher.stop()


def show(console: Console, report: Report, opened: Opened) -> None:
    """Print the answers in a table, and the verdict."""
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
    for note in [*([opened.about["note"]] if "note" in opened.about else []), *report.about["notes"]]:
        console.print(Text(f"note: {note}"))


def _check_sources(checkpoint: str | None, fake: str | None, train: str | None, held_out: str | None) -> None:
    """Check that model and images are given once, and all images that an audit needs.

    Raises:
        UserError: naming the option that is missing or must be left out.
    """
    if (checkpoint is None) == (fake is None):
        raise UserError("give either checkpoint=RUN, or folders of images: fake=FOLDER train=FOLDER held_out=FOLDER")
    if (train is None) != (held_out is None) or (fake is not None and train is None):
        missing = "train" if train is None else "held_out"
        raise UserError(
            f"{missing}=FOLDER is missing: an audit needs the images of the training, and others of the same origin "
            "that it never saw"
        )


def _console() -> Console:
    """Return a console of 120 columns where the output has no width of its own."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _created(folder: Path) -> Path:
    """Create the folder of the report before the audit, so that a fault is reported early.

    Raises:
        UserError: when the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}") from error
    return folder


@wraps(run_audit)
def main(**options: Any) -> None:
    """Run `run_audit`; report an unsuitable extractor as a fault of the user."""
    try:
        run_audit(**options)
    except ValueError as error:  # of an extractor
        if isinstance(error, UserError):
            raise
        raise UserError(first_line(error)) from error
