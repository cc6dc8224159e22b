"""`audit`: ask one subject all questions, one after another, with shared evidence."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from zoo.audit.comparison import Labels, read_comparison
from zoo.audit.evidence.budget import Budget
from zoo.audit.evidence.budget import budget as budget_named
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.overlap import FEWEST_IMAGES, check_image_sets, without_overlap
from zoo.audit.findings.finding import Finding, NotApplicable
from zoo.audit.questions import NAMES, question
from zoo.audit.reporting.report import Report
from zoo.errors import UserError, did_you_mean
from zoo.features import Extractor, extractor
from zoo.io.progress import progress_goes_to

EXTRACTOR = "effnet-lite0"
ALL = "all"
"""The word of `only=` for all questions of this library, beside which one's own may be named."""


class ProgressListener:
    """A listener to the progress of an audit. This one ignores all events; a subclass overrides those it needs."""

    def asking(self, name: str, question: str) -> None:
        """Handle the beginning of a question.

        Args:
            name: name of the question, as in `only=`.
            question: the question as shown in the report.
        """

    def step(self, text: str) -> None:
        """Handle the beginning of a longer step of the current question.

        Args:
            text: description of the step.
        """

    def advanced(self, text: str, done: int, total: int | None) -> None:
        """Handle progress within a longer step.

        Args:
            text: description of the step.
            done: number of items done.
            total: number of items of the step; None if it is unknown.
        """

    def answered(self, finding: Finding) -> None:
        """Handle the end of a question.

        Args:
            finding: the answer.
        """


class StderrListener(ProgressListener):
    """A listener that prints every step to the standard error stream."""

    def step(self, text: str) -> None:
        """Print the description of the step."""
        print(text, file=sys.stderr, flush=True)


def audit(
    subject: Any,
    train: Any,
    held_out: Any,
    *,
    labels: Labels = None,
    resolution: int = 0,
    data: Mapping[str, Any] | None = None,
    budget: str = "standard",
    seed: int = 0,
    only: Sequence[str] | str | None = None,
    features: Extractor | str | None = None,
    name: str = "",
    extras: dict[str, Any] | None = None,
    quiet: bool = True,
    watcher: ProgressListener | None = None,
    keep: bool = False,
) -> Report:
    """Audit a generator: does it copy training images, has it collapsed, how many distinct images can it draw?

    Args:
        subject: a model of this library, anything else with `sample(n)` (`zoo.audit.Subject` lists what it may have
            besides), a folder of generated images, or a tensor of them.
        train: training images: a tensor (N, C, H, W) in [-1, 1] or uint8, a data set, or a folder.
        held_out: images of the same origin that were not used in training, the null of every statistic.
        labels: classes of the training and of the held-out images (a pair of class indices), if they have none. For
            folders also the path of a CSV file with rows path,class; `subfolders`; or `none`. None takes subfolders for
            classes if those of `train` and `held_out` have the same names.
        resolution: height and width in pixels to which folders are resized; 0 for the most common size of the generated
            images, or for the size that the subject draws.
        data: settings of reading the files of folders, those of `zoo.data.Folder` named `on_corrupt`, `value_range`,
            `background` and `match`, such as {"on_corrupt": "skip"}.
        budget: `quick`, `standard` or `full`.
        seed: seed of every random draw; the same seed gives the same report.
        only: names of questions, as a list or joined by commas, or import paths of classes of one's own, such as
            `all,my_ideas.Symmetry`; None asks all of this library.
        features: an extractor, its name, or the import path of one's own; None takes `effnet-lite0`.
        name: name of the subject in the report; empty for the name of its class or folder.
        extras: settings of single questions.
        quiet: whether no progress is printed.
        watcher: listener that is informed of the progress, in place of the one that `quiet` chooses.
        keep: whether features of the real images are stored in the cache, where the next audit finds them.

    Returns:
        The report.

    Raises:
        UserError: for images that cannot be compared, or unknown names.
    """
    sizes = budget_named(budget)
    asked = chosen_questions(only)
    network = features if isinstance(features, Extractor) else extractor(features or EXTRACTOR)
    listener = watcher or (ProgressListener() if quiet else StderrListener())
    with progress_goes_to(listener.advanced):
        return _audit(
            subject,
            train,
            held_out,
            labels,
            resolution,
            data,
            sizes,
            seed,
            asked,
            network,
            name,
            extras or {},
            listener,
            keep,
        )


def _audit(
    subject: Any,
    train: Any,
    held_out: Any,
    labels: Labels,
    resolution: int,
    reading: Mapping[str, Any] | None,
    sizes: Budget,
    seed: int,
    asked: Sequence[str],
    network: Extractor,
    name: str,
    extras: dict[str, Any],
    listener: ProgressListener,
    keep: bool,
) -> Report:
    """Read the images and ask the questions; see `audit` for the arguments."""
    listener.step("reading the images")
    compared = read_comparison(
        subject, train, held_out, labels=labels, resolution=resolution, name=name, seed=seed, reading=reading
    )
    listener.step("comparing training and held-out images pixel for pixel")
    known, new, adapter = compared.train, compared.held_out, compared.subject
    check_image_sets(known, new)
    new, shared = without_overlap(known, new)
    about = {
        "budget": sizes.name,
        "seed": seed,
        "extractor": {"name": network.name, **network.protocol},
        "train": {"images": len(known), "digest": known.digest},
        "held_out": {"images": len(new), "digest": new.digest, "removed_as_training_images": shared},
        "images": compared.about,
    }
    if adapter.available is not None and adapter.available < FEWEST_IMAGES:
        raise UserError(f"{adapter.name} has {adapter.available} images; an audit needs at least {FEWEST_IMAGES}")
    rng = torch.Generator().manual_seed(seed)
    evidence = Evidence(
        adapter,
        _at_most(known, sizes.train, rng),
        _at_most(new, sizes.images, rng),
        sizes,
        seed,
        network,
        extras,
        listener.step,
        keep,
    )
    began = time.monotonic()
    findings = [_answer(name, evidence, listener) for name in asked]
    about |= {
        "used": evidence.used,
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - began, 1),
        "notes": compared.notes,
    }
    return Report(adapter.name, tuple(findings), about)


def chosen_questions(only: Sequence[str] | str | None) -> list[str]:
    """Return the names of the chosen questions, in the order of the report: those of the user's own come last.

    Args:
        only: names of questions or import paths of classes of one's own, as a list or joined by commas; None or `all`
            chooses all of this library.

    Raises:
        UserError: for an unknown name, or a class that is no question.
    """
    names = only.replace(" ", "").split(",") if isinstance(only, str) else list(NAMES if only is None else only)
    own = [name for name in dict.fromkeys(names) if "." in name]
    for name in own:
        question(name)
    for name in names:
        if name not in NAMES and name not in own and name != ALL:
            raise UserError(
                f"only: there is no question {name!r}.{did_you_mean(name, NAMES)} One of your own is named by its "
                f"path: my_ideas.{name}"
            )
    return [name for name in NAMES if name in names or ALL in names] + own


def _answer(name: str, evidence: Evidence, listener: ProgressListener) -> Finding:
    """Ask one question; a question that does not apply gives a finding with the status `skipped`."""
    module = question(name)
    listener.asking(name, module.QUESTION)
    began = time.monotonic()
    try:
        finding = module.run(evidence)
    except NotApplicable as reason:
        finding = Finding(name, module.QUESTION, "skipped", str(reason))
    if not isinstance(finding, Finding):
        raise UserError(f"only: {name}.run must return a zoo.audit.Finding; it returned a {type(finding).__name__}")
    finding = replace(finding, name=name, seconds=time.monotonic() - began)
    listener.answered(finding)
    return finding


def _at_most(image_set: ImageSet, n: int, rng: torch.Generator) -> ImageSet:
    """Return n random images in their order, or all of them if there are no more or n is 0."""
    if not n or len(image_set) <= n:
        return image_set
    return image_set.take(torch.randperm(len(image_set), generator=rng)[:n].sort().values)
