"""What to try next, each with its evidence: the run's own records, or a study or benchmark of this project.

The evidence is quoted as it is, also where it speaks against a remedy. `tests/runs/test_verdict.py` holds the quoted
numbers against the files of results, and the pages against `docs/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from zoo.alarms.named import REMEDIES
from zoo.runs.verdict.evidence import Evidence
from zoo.runs.verdict.trend import State, Trend

MOST = 3
"""Largest number of things to try: more are no help in choosing."""
LATE = 0.2
"""Share at the end of a run in which an alarm still matters for what to do next."""
WEAKER = ("VanillaGAN", "DCGAN", "WGANGP")
"""Models that another one surpassed on the same data, at the same length."""
RELATIVISTIC = ("R3GAN",)
"""Models that have relativistic pairs and both penalties anyway."""


@dataclass(frozen=True)
class Advice:
    """One thing to try next.

    Args:
        text: what to do, with a command where there is one; RUN stands for the run folder.
        evidence: why, from records or results.
        page: the page of `docs/` to read, with the heading.
    """

    text: str
    evidence: str
    page: str


@dataclass(frozen=True)
class Situation:
    """What the advice depends on.

    Args:
        evidence: what is known about the run.
        trend: what its selecting number does; None where nothing was measured.
        collapsed: whether images of different latents are the same.
        is_near: whether the distance is that of real images.
        covers: whether coverage is near that of real images, whatever recall and precision are.
        overfits: whether the discriminator has memorised its training images.
    """

    evidence: Evidence
    trend: Trend | None
    collapsed: bool
    is_near: bool
    covers: bool
    overfits: bool


def advise(situation: Situation) -> tuple[Advice, ...]:
    """Return what to try next, the most promising first."""
    rules: tuple[Callable[[Situation], Iterator[Advice]], ...] = (
        _mend,
        _measure,
        _heed,
        _train_longer,
        _augment,
        _change_model,
        _change_loss,
        _release,
    )
    return tuple(advice for rule in rules for advice in rule(situation))[:MOST]


def _mend(now: Situation) -> Iterator[Advice]:
    """Mend a run that broke."""
    events = now.evidence.events
    if now.collapsed or any(str(event.get("action", "")) == "stop" for event in events[-1:]):
        last = str(events[-1].get("alarm", "")) if events else "loss of diversity"
        remedy = REMEDIES.get(last) or REMEDIES["loss of diversity"]
        yield Advice(
            f"Train again with `callbacks.Alarms.action=rollback`, or {remedy}.",
            "In ten small runs that were broken by a learning rate 30 times too high, those with rollback ended within "
            "7.3 % of undisturbed ones, those without 33 % worse on average.",
            "docs/alarms.md#what-to-do",
        )


def _heed(now: Situation) -> Iterator[Advice]:
    """Heed alarms that were raised late in the run."""
    late = [e for e in now.evidence.events if int(e.get("images_seen", 0)) >= (1 - LATE) * now.evidence.images_seen]
    remedy = REMEDIES.get(str(late[-1].get("alarm", "")), "") if late else ""
    if remedy and not now.collapsed:
        count = "An alarm was" if len(late) == 1 else f"{len(late)} alarms were"
        yield Advice(
            f"Look at what the alarms saw. What usually helps: {remedy}.",
            f"{count} raised in the last fifth of this run. Single ones are often harmless.",
            "docs/alarms.md#what-to-do",
        )


def _measure(now: Situation) -> Iterator[Advice]:
    """Measure what was not measured."""
    if now.evidence.first_measurement:
        return
    if not now.evidence.curve and not now.evidence.held_out:
        yield Advice(
            "Measure the samples: `python -m zoo.evaluate checkpoint=RUN`",
            "Losses do not tell: they measure which network is ahead, not how good the images are.",
            "docs/evaluation.md#metrics",
        )


def _train_longer(now: Situation) -> Iterator[Advice]:
    """Go on with a run that still improves; go back where it became worse."""
    trend, evidence = now.trend, now.evidence
    if trend is None:
        return
    label = evidence.curve[-1].label
    if trend.state is State.WORSE:
        yield Advice(
            f"Use the best checkpoint, that of {trend.since:,} images, not the last one.",
            f"{label} has become worse since then.",
            "docs/evaluation.md#during-training",
        )
    elif trend.state is State.IMPROVING and not (now.is_near or now.collapsed):
        if evidence.images_seen >= evidence.images:
            text = f"Train longer: `python -m zoo.fit resume=RUN images={2 * evidence.images}`"
        else:
            text = "Let it run on." if evidence.trains else "Go on with it: `python -m zoo.fit resume=RUN`"
        yield Advice(text, f"{label} is {trend.words}{trend.gain and ', ' + trend.gain}.", "docs/recipes.md#resuming")
    elif trend.state is State.FEW and not (now.is_near or now.collapsed):
        yield Advice(
            "Measure more often, to see whether a longer run would help: `callbacks.SampleMetrics.every=` at a tenth "
            "of the run.",
            f"So far: {trend.words}.",
            "docs/evaluation.md#during-training",
        )


def _augment(now: Situation) -> Iterator[Advice]:
    """Augment where the discriminator memorises."""
    where, member = now.evidence.member
    if now.overfits and not member.get("augment"):
        yield Advice(
            f"More images, or augmentation: `{where}.augment=adaptive`",
            "On 1,226 images of land at 64 px, augmentation kept the discriminator from memorising them: it scored a "
            "training image above a held-out one in 46 % of pairs instead of 74 %. The images became no better "
            "(FD-effnet-lite0 799 and 770), so expect it to help only in a longer run.",
            "docs/recipes.md#few-images",
        )


def _change_model(now: Situation) -> Iterator[Advice]:
    """Another model where this one no longer improves."""
    stuck = now.trend is not None and now.trend.state in (State.FLAT, State.WORSE)
    if stuck and not (now.is_near or now.collapsed) and now.evidence.model.get("class") in WEAKER:
        yield Advice(
            "Another model, such as BigGAN where there are classes; `python -m zoo` lists recipes.",
            "On Fashion-MNIST, 400,000 images each: FD-effnet-lite0 193 with BigGAN, 249 with WGAN-GP, 291 with DCGAN "
            "(one run each; real images 35).",
            "docs/models.md",
        )


def _change_loss(now: Situation) -> Iterator[Advice]:
    """Relativistic pairs with both penalties where the model no longer improves."""
    where, member = now.evidence.member
    stuck = now.trend is not None and now.trend.state in (State.FLAT, State.WORSE)
    if not stuck or now.is_near or now.collapsed or member.get("class") in RELATIVISTIC:
        return
    if member.get("objective") != "relativistic":
        yield Advice(
            f"Another loss: `{where}.objective=relativistic` with `{where}.r1=` and `{where}.r2=`",
            "Published (Huang et al. 2024, arXiv:2501.05441); not compared at equal budgets in this project, so an "
            "experiment. The strength of the penalties depends on the resolution.",
            "docs/models.md#losses",
        )


def _release(now: Situation) -> Iterator[Advice]:
    """Audit and release a run that is near."""
    if now.is_near and not now.collapsed and now.evidence.audit is None:
        yield Advice(
            "Audit it before it is used: `python -m zoo.audit checkpoint=RUN`",
            "A distance cannot tell new images from copies of training images; the audit named each of 14 planted "
            "faults in 20 of 20 seeds.",
            "docs/audit.md",
        )
    if now.is_near and now.covers:
        yield Advice(
            "Release it: `python -m zoo.hub run=RUN out=FOLDER`",
            "Distance and coverage are near those of real images.",
            "docs/pretrained.md#packing-verifying-and-uploading",
        )
