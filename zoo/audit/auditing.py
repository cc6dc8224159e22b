"""`audit`: all questions to one subject, one after another, with shared evidence."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.audit.evidence.budget import budget as budget_named
from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.images import ImageSet, check_parts, part_of, read_like, without_overlap
from zoo.audit.evidence.subject import as_subject
from zoo.audit.findings.finding import Finding, NotApplicable
from zoo.audit.questions import NAMES, question
from zoo.audit.reporting.report import Report
from zoo.errors import UserError, did_you_mean
from zoo.features import Extractor, extractor

EXTRACTOR = "effnet-lite0"


class Watcher:
    """Is told how an audit goes on; this one keeps it to itself."""

    def asking(self, name: str, question: str) -> None:
        """A question is about to be asked."""

    def step(self, text: str) -> None:
        """Something longer is being done for it."""

    def answered(self, finding: Finding) -> None:
        """The question has its answer."""


class Written(Watcher):
    """Writes what is being done to the console's error stream."""

    def step(self, text: str) -> None:
        """Write a line."""
        print(text, file=sys.stderr, flush=True)


def audit(
    subject: Any,
    train: Any,
    held_out: Any,
    *,
    labels: tuple[Tensor, Tensor] | None = None,
    budget: str = "standard",
    seed: int = 0,
    only: Sequence[str] | str | None = None,
    features: Extractor | str | None = None,
    name: str = "",
    extras: dict[str, Any] | None = None,
    quiet: bool = True,
    watcher: Watcher | None = None,
    keep: bool = False,
) -> Report:
    """Ask a generator what its users should know: does it copy, has it collapsed, how much can it draw?

    Args:
        subject: anything with `sample(n)` (see `zoo.audit.Subject` for what else it may have), or a folder of
            generated images, or a tensor of them.
        train: the images it was trained on: a tensor (N, C, H, W) in [-1, 1] or uint8, a data set, or a folder.
        held_out: images of the same origin that training never saw, the null of every statistic.
        labels: classes of the training and of the held-out images, where those do not hold them.
        budget: `quick`, `standard` or `full`.
        seed: of every random draw; the same seed gives the same report.
        only: names of questions; None asks all.
        features: an extractor or its name; None takes `effnet-lite0`.
        name: of the subject, for the report.
        extras: settings of single questions.
        quiet: say nothing on the way.
        watcher: is told how it goes on, in place of what `quiet` decides.
        keep: features of the real images in the cache, so that the next audit on them need not make them again.

    Raises:
        UserError: for images that cannot be compared, or unknown names.
    """
    sizes = budget_named(budget)
    asked = chosen_questions(only)
    network = features if isinstance(features, Extractor) else extractor(features or EXTRACTOR)
    own = labels or (None, None)
    known = part_of(train, "train", own[0])
    new = (
        read_like(Path(held_out), "held_out", known)
        if isinstance(held_out, str | Path)
        else part_of(held_out, "held_out", own[1])
    )
    check_parts(known, new)
    new, shared = without_overlap(known, new)
    about = {
        "budget": budget,
        "seed": seed,
        "extractor": {"name": network.name, **network.protocol},
        "train": {"images": len(known), "digest": known.digest},
        "held_out": {"images": len(new), "digest": new.digest, "removed_as_training_images": shared},
    }
    questioned = as_subject(subject, name, lambda folder: read_like(folder, "generated", known).images())
    shrink = torch.Generator().manual_seed(seed)
    told = watcher or (Watcher() if quiet else Written())
    evidence = Evidence(
        questioned,
        _at_most(known, sizes.train, shrink),
        _at_most(new, sizes.images, shrink),
        sizes,
        seed,
        network,
        dict(extras or {}),
        told.step,
        keep,
    )
    _check_enough(evidence)
    began = time.monotonic()
    findings = [_answer(name, evidence, told) for name in asked]
    about |= {
        "used": evidence.used,
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - began, 1),
    }
    return Report(questioned.name, tuple(findings), about)


def chosen_questions(only: Sequence[str] | str | None) -> list[str]:
    """Names of questions, in the report's order.

    Raises:
        UserError: for one there is not.
    """
    names = only.replace(" ", "").split(",") if isinstance(only, str) else list(NAMES if only is None else only)
    for name in names:
        if name not in NAMES:
            raise UserError(f"only: there is no question {name!r}.{did_you_mean(name, NAMES)}")
    return [name for name in NAMES if name in names]


def _check_enough(evidence: Evidence) -> None:
    available = getattr(evidence.subject.subject, "available", None)
    if available is not None and available < 20:
        raise UserError(f"{evidence.subject.name} has {available} images; an audit needs at least 20")


def _answer(name: str, evidence: Evidence, told: Watcher) -> Finding:
    module = question(name)
    told.asking(name, module.QUESTION)
    began = time.monotonic()
    try:
        found = module.run(evidence)
    except NotApplicable as reason:
        found = Finding(name, module.QUESTION, "skipped", str(reason))
    answered = replace(found, seconds=time.monotonic() - began)
    told.answered(answered)
    return answered


def _at_most(part: ImageSet, n: int, generator: torch.Generator) -> ImageSet:
    """A random part of the images when there are more than n; 0 means all."""
    if not n or len(part) <= n:
        return part
    return part.take(torch.randperm(len(part), generator=generator)[:n].sort().values)
