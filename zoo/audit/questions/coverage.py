"""What does the generator leave out? Classes or kinds of images drawn too rarely, variety lost within them, and the
overlap of both distributions by precision and recall, density and coverage. Shares and variety can raise an alarm; the
overlap is reported only, because it depends much on the features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.kinds import Kinds
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Finding, NotApplicable
from zoo.audit.findings.formatting import percent
from zoo.audit.questions.coverage_figures import curves_figure, shares_figure, table, variety_figure
from zoo.audit.questions.coverage_kinds import Comparison, compare
from zoo.audit.statistics.manifolds import Halves, frequencies, neighbourhoods, over_halves
from zoo.audit.statistics.shares import COLLAPSED, DROPPED
from zoo.audit.statistics.significance import ALARM

QUESTION = "What does it leave out?"

FEWEST = 40  # images on each side; in halves of 20, the balls of five neighbours do not yet cover everything
LISTED = 5  # kinds named in a sentence
CAN_BE_LOW, LOW = ("precision", "recall", "coverage"), 0.5  # reported as low below this ratio to the null
RAISED_BY_BLUR = ("precision", "density")  # reported where they exceed the range of real images
BEYOND = 1.05  # smallest ratio to real images that is reported as higher
REPEATS = {"quick": 3, "standard": 5, "full": 20}  # random halves behind precision, recall, density and coverage


def run(evidence: Evidence) -> Finding:
    """Compare shares and variety of the kinds, and the overlap of the distributions, with held-out images.

    Raises:
        NotApplicable: if there are too few images.
    """
    sizes = len(evidence.generated), len(evidence.held_out)
    if min(sizes) < FEWEST:
        raise NotApplicable(
            f"coverage needs at least {FEWEST} generated and {FEWEST} held-out images; got {sizes[0]} and {sizes[1]}"
        )
    fake, real = evidence.features("generated"), evidence.features("held_out")
    comparison = compare(evidence, real, fake)
    kinds = comparison.kinds
    evidence.report("precision, recall, density and coverage")
    repeats, seed = REPEATS.get(evidence.budget.name, 5), evidence.seed_of("coverage") % 2**31
    overlap = over_halves(real, fake, neighbourhoods, repeats, seed)
    memberships, memberships_by = _memberships(evidence, kinds)
    finding = Builder("coverage", QUESTION)
    for halves in (overlap, over_halves(*memberships, frequencies, repeats, seed)):
        for name in halves.generated:
            finding.add(halves.statistic(name))
    _add_kinds(finding, comparison)
    _add_modes(finding, evidence)
    _add_flags(finding, comparison)
    finding.add_figure(shares_figure(comparison))
    finding.add_figure(variety_figure(comparison))
    finding.add_figure(curves_figure(evidence, real, fake, seed))
    finding.add_protocol(
        {
            "generated": sizes[0],
            "held_out": sizes[1],
            "half": overlap.n,
            "halves": len(overlap.null["recall"]),
            "kinds": len(kinds),
            "kinds_by": kinds.by,
            "classes": "unknown" if kinds.clusters else "known",
            "kinds_right_on_held_out": kinds.right,
            "memberships": memberships_by,
            "p_below": ALARM,
            "dropped_below": DROPPED,
            "collapsed_below": COLLAPSED,
            "precision_and_recall_k": 3,
            "density_and_coverage_k": 5,
            "space": evidence.space,
            "shares": comparison.shares_by,
            "table": table(comparison),
        }
    )
    low = [name for name in CAN_BE_LOW if overlap.generated[name].mean() < LOW * overlap.null[name].mean()]
    high = _above_real(overlap)
    return finding.build(_answer(comparison, overlap, low) + high, note=bool(low or high))


def _memberships(evidence: Evidence, kinds: Kinds) -> tuple[tuple[Tensor, Tensor], str]:
    """Return class memberships of held-out (N, K) and generated images (M, K), and how they were obtained, as text."""
    real, fake = (evidence.extracted(side).logits for side in ("held_out", "generated"))
    if real is not None and fake is not None:
        return (real.softmax(1), fake.softmax(1)), f"class probabilities of {evidence.space}"
    generated, held_out = kinds.votes
    return (held_out, generated), kinds.by


def _add_kinds(finding: Builder, comparison: Comparison) -> None:
    """Add how many kinds are dropped or collapsed, and the most extreme of them."""
    noun, count = comparison.noun, len(comparison.kinds)
    rarest = min(comparison.shares, key=lambda share: share.ratio)
    (_, lower, upper), usual = rarest.generated, rarest.held_out[0]
    n = sum(share.n for share in comparison.shares) if comparison.requested else rarest.n
    closest = min(comparison.varieties, key=lambda variety: variety.ratio)
    finding.add_statistic(
        f"dropped {noun}",
        len(comparison.dropped),
        null=0,
        n=n,
        alarm=bool(comparison.dropped),
        description=f"of {count}; share significantly below half of that among held-out images",
    )
    finding.add_statistic(
        f"over- or under-represented {noun}",
        sum(share.differs for share in comparison.shares),
        null=0,
        n=n,
        description=f"of {count}; share significantly different from that among held-out images",
    )
    finding.add_statistic(
        f"lowest relative share, {comparison.name(rarest.kind)}",
        (rarest.ratio, lower / usual if usual else None, upper / usual if usual else None),
        null=1.0,
        n=rarest.n,
        alarm=rarest.dropped,
        description="1: as often as among held-out images",
    )
    finding.add_statistic(
        f"lowest variety, {comparison.name(closest.kind)}",
        closest.ratio,
        null=1.0,
        n=closest.n,
        alarm=closest.collapsed,
        description="median distance between its images, over that of held-out images",
    )
    finding.add_statistic(f"collapsed {noun}", len(comparison.collapsed), null=0, n=n, alarm=bool(comparison.collapsed))


def _add_modes(finding: Builder, evidence: Evidence) -> None:
    """Add how many classes of the extractor are drawn at all, if these are the modes of the data."""
    modes = evidence.extras.get("modes")
    mine, theirs = (evidence.extracted(side).logits for side in ("generated", "held_out"))
    if mine is None or theirs is None or modes != mine.shape[1]:
        return
    n = min(len(mine), len(theirs))
    drawn, usual = (len(torch.unique(side[:n].argmax(1))) for side in (mine, theirs))
    description = f"of {modes} classes of {evidence.space}, those with at least one of {n:,} images"
    finding.add_statistic("modes", drawn, null=usual, n=n, description=description)


def _add_flags(finding: Builder, comparison: Comparison) -> None:
    """Raise an alarm for collapsed kinds and one for dropped kinds, if there are any."""
    if comparison.collapsed:
        least = min(variety.ratio for variety in comparison.collapsed)
        names = _listed([comparison.name(variety.kind) for variety in comparison.collapsed])
        finding.add_flag(
            "collapsed", f"images of {names} are nearly identical, down to {percent(least)} of the usual distance"
        )
    if comparison.dropped:
        names = _listed([comparison.name(share.kind) for share in comparison.dropped])
        how = "not drawn when requested" if comparison.requested else "drawn less than half as often as in real data"
        finding.add_flag("dropping classes", f"{names} {how}")


def _answer(comparison: Comparison, overlap: Halves, low: list[str]) -> str:
    """Return the answer as text: dropped and collapsed kinds, the recall, and names of `overlap` that are `low`."""
    what = "kinds of images" if comparison.kinds.clusters else "classes"
    count = len(comparison.kinds)
    sentences = []
    if comparison.dropped:
        parts = [
            f"{comparison.name(s.kind)} ({percent(s.generated[0], 1)} instead of {percent(s.held_out[0], 1)})"
            for s in comparison.dropped
        ]
        verb = "When requested, it rarely draws" if comparison.requested else "It drops"
        more = "" if len(parts) <= LISTED else f", and {len(parts) - LISTED} more"
        sentences.append(f"{verb} {len(parts)} of {count} {what}: {', '.join(parts[:LISTED])}{more}.")
    if comparison.collapsed:
        names = _listed([comparison.name(variety.kind) for variety in comparison.collapsed])
        least = min(variety.ratio for variety in comparison.collapsed)
        sentences.append(f"Images of {names} are nearly identical: {percent(least)} of the usual distance apart.")
    if not sentences:
        missing = (
            "every class is drawn when requested" if comparison.requested else f"none of {count} {what} is missing"
        )
        sentences.append(f"Nothing large: {missing}, and none has lost its variety.")
    if comparison.kinds.clusters:
        sentences.append(
            "Classes are unknown, so the kinds are clusters: what is missing evenly from all of them, such as an "
            "attribute, is not seen."
        )
    recall, null = overlap.generated["recall"].mean(), overlap.null["recall"].mean()
    sentences.append(
        f"{percent(recall)} of the real images are within the manifold of generated images (recall); {percent(null)} "
        "are within that of as many other real images."
    )
    if "precision" in low and comparison.dropped:
        sentences.append("Few generated images resemble real ones, so part of this may be quality instead of shares.")
    elif low and not comparison.dropped and not comparison.collapsed:
        sentences.append(f"Low compared with real images: {', '.join(low)}.")
    return " ".join(sentences)


def _above_real(overlap: Halves) -> str:
    """Return a sentence about precision and density that exceed those of real images; empty if none does.

    Images near the middle of the real ones are inside more neighbourhoods than real images are: blur does it.
    """
    above = []
    for statistic in (overlap.statistic(name) for name in RAISED_BY_BLUR):
        low, null_high = statistic.low, statistic.null_high
        beyond = statistic.null is not None and statistic.value > BEYOND * statistic.null
        if beyond and low is not None and null_high is not None and low > null_high:
            above.append(f"{statistic.name} ({statistic.value:.2f}, real images {statistic.null:.2f})")
    if not above:
        return ""
    return (
        f" Higher than of real images: {' and '.join(above)}. Blurred and repeated images raise it, so this is no sign "
        "of quality."
    )


def _listed(names: list[str]) -> str:
    """Return the first names as a list, with the number of others."""
    shown = ", ".join(names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"
