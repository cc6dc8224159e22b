"""What does the generator leave out? Classes or kinds of images drawn too rarely, variety lost within them, and the
overlap of both distributions by precision and recall, density and coverage. Shares and variety can raise an alarm; the
overlap is reported only, because it depends much on the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.kinds import Kinds, kinds_of
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Figure, Finding, NotApplicable
from zoo.audit.findings.formatting import percent
from zoo.audit.statistics import shares
from zoo.audit.statistics.manifolds import CLUSTERS, Halves, curves, frequencies, neighbourhoods, over_halves
from zoo.audit.statistics.shares import COLLAPSED, DROPPED, Share, Variety
from zoo.audit.statistics.significance import ALARM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "What does it leave out?"

REQUESTED = "given by the requested labels"
FEWEST = 40  # images on each side; in halves of 20, the balls of five neighbours do not yet cover everything
LISTED = 5  # kinds named in a sentence
CAN_BE_LOW, LOW = ("precision", "recall", "coverage"), 0.5  # reported as low below this ratio to the null
RAISED_BY_BLUR = ("precision", "density")  # reported where they exceed the range of real images
BEYOND = 1.05  # smallest ratio to real images that is reported as higher
RUNS = {"quick": 1, "standard": 3, "full": 10}  # clusterings behind the precision-recall curve; 10 in the paper
REPEATS = {"quick": 3, "standard": 5, "full": 20}  # random halves behind precision, recall, density and coverage


@dataclass(frozen=True)
class Comparison:
    """Shares and variety of the kinds (classes or clusters), generated against held-out images.

    Args:
        kinds: the kinds, with the kind of each image.
        shares: share of each kind, or, if `requested`, share of the images requested as a kind that are classified as
            it.
        shares_by: how the shares were measured, as text; `REQUESTED` if the generator takes class labels, which then
            determine the shares.
        varieties: variety of each kind with enough images; the last one is that of all images together.
    """

    kinds: Kinds
    shares: list[Share]
    shares_by: str
    varieties: list[Variety]

    @property
    def requested(self) -> bool:
        """Whether the generator takes class labels."""
        return self.shares_by == REQUESTED

    @property
    def noun(self) -> str:
        """Plural noun for the kinds: `kinds` if they are clusters, `classes` otherwise."""
        return "kinds" if self.kinds.clusters else "classes"

    @property
    def dropped(self) -> list[Share]:
        """Shares of the kinds that are dropped, the lowest ratio first."""
        return sorted((share for share in self.shares if share.dropped), key=lambda share: share.ratio)

    @property
    def collapsed(self) -> list[Variety]:
        """Varieties of the kinds that are collapsed; among them that of all images together, if it is."""
        return [variety for variety in self.varieties if variety.collapsed]

    def name(self, kind: int) -> str:
        """Return the name of a kind; the index after the last kind stands for all images together."""
        return self.kinds.names[kind] if kind < len(self.kinds) else "all images together"


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
    comparison = _compare(evidence, fake, real)
    kinds = comparison.kinds
    evidence.report("precision, recall, density and coverage")
    repeats, seed = REPEATS.get(evidence.budget.name, 5), evidence.seed_of("coverage") % 2**31
    overlap = over_halves(fake, real, neighbourhoods, repeats, seed)
    memberships, memberships_by = _memberships(evidence, kinds)
    finding = Builder("coverage", QUESTION)
    for halves in (overlap, over_halves(*memberships, frequencies, repeats, seed)):
        for name in halves.generated:
            finding.add(halves.statistic(name))
    _add_kinds(finding, comparison)
    _add_modes(finding, evidence)
    _add_flags(finding, comparison)
    finding.add_figure(_shares_figure(comparison))
    finding.add_figure(_variety_figure(comparison))
    finding.add_figure(_curves_figure(evidence, fake, real, seed))
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
            "table": _table(comparison),
        }
    )
    low = [name for name in CAN_BE_LOW if overlap.generated[name].mean() < LOW * overlap.null[name].mean()]
    high = _above_real(overlap)
    return finding.build(_answer(comparison, overlap, low) + high, note=bool(low or high))


def _compare(evidence: Evidence, fake: Tensor, real: Tensor) -> Comparison:
    """Compare shares and variety of each kind, from features of generated (N, D) and held-out images (M, D)."""
    kinds = kinds_of(evidence)
    requested, true = evidence.generated.labels, evidence.held_out.labels
    mine, theirs = kinds.generated, kinds.held_out
    known = torch.unique(evidence.train.labels) if evidence.train.labels is not None else torch.empty(0)
    if not kinds.clusters and requested is not None and true is not None and _all_requested(requested, true, known):
        right, right_real = known[mine] == requested, known[theirs] == true
        mine, theirs = (torch.searchsorted(known, side).clamp(max=len(known) - 1) for side in (requested, true))
        rows, shares_by = shares.agreement(right, mine, right_real, theirs, len(kinds)), REQUESTED
    else:
        corrected = None if kinds.truth is None else shares.confusion_corrected_shares(*kinds.votes, kinds.truth)
        rows = shares.shares(*kinds.counts()) if corrected is None else corrected
        shares_by = (
            "as classified" if corrected is None else "corrected for the classifier's mistakes on held-out images"
        )
    draw = evidence.rng("variety")
    within = shares.variety(fake, mine, real, theirs, len(kinds), draw)
    (merged,) = shares.variety(fake, torch.zeros(len(fake)), real, torch.zeros(len(real)), 1, draw)
    overall = Variety(len(kinds), merged.generated, merged.held_out, merged.n, merged.p)
    return Comparison(kinds, rows, shares_by, [*within, overall])


def _all_requested(requested: Tensor, true: Tensor, known: Tensor) -> bool:
    """Check that generated images were requested of every class (M,) of held-out images, and of known classes only.

    Otherwise, as in a folder of generated images without a class, the images themselves must tell their classes.
    """
    return bool(torch.isin(torch.unique(true), requested).all()) and bool(torch.isin(requested, known).all())


def _memberships(evidence: Evidence, kinds: Kinds) -> tuple[tuple[Tensor, Tensor], str]:
    """Return class memberships of generated (N, K) and held-out images (M, K), and how they were obtained, as text."""
    mine, theirs = (evidence.extracted(side).logits for side in ("generated", "held_out"))
    if mine is not None and theirs is not None:
        return (mine.softmax(1), theirs.softmax(1)), f"class probabilities of {evidence.space}"
    return kinds.votes, kinds.by


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


def _table(comparison: Comparison) -> list[dict[str, object]]:
    """Return shares and variety of each kind for the protocol."""
    varieties = {variety.kind: round(variety.ratio, 4) for variety in comparison.varieties}
    return [
        {
            "name": comparison.name(share.kind),
            "generated": share.generated[0],
            "held_out": share.held_out[0],
            "p": share.p,
            "variety": varieties.get(share.kind),
        }
        for share in comparison.shares
    ]


def _shares_figure(comparison: Comparison) -> Figure | None:
    """Plot the share of each kind among generated and held-out images; None without matplotlib."""
    rows = comparison.shares
    sides = (("held_out", [row.held_out for row in rows]), ("generated", [row.generated for row in rows]))

    def draw(axes: Axes) -> None:
        for shift, (side, estimates) in zip((-0.2, 0.2), sides):
            values, lows, highs = (np.array(column) for column in zip(*estimates))
            axes.bar(
                np.arange(len(rows)) + shift,
                values,
                0.4,
                yerr=[values - lows, highs - values],
                color=figures.COLOURS[side],
                label=side.replace("_", "-"),
                error_kw={"linewidth": 0.8},
            )
        step = max(1, len(rows) // 20)
        axes.set_xticks(range(0, len(rows), step), [comparison.name(row.kind).split()[-1] for row in rows][::step])
        label = "classified as requested" if comparison.requested else "share of images"
        axes.set(xlabel=comparison.kinds.names[0].split()[0], ylabel=label)
        axes.legend()

    caption = "Share of each kind among generated and held-out images. Lines are 95 % intervals."
    if comparison.requested:
        caption = "Share of images classified as the requested class, beside held-out images classified as their class."
    return figures.plot(draw, "shares", caption)


def _variety_figure(comparison: Comparison) -> Figure | None:
    """Plot the variety of each kind; None without matplotlib."""
    rows = comparison.varieties

    def draw(axes: Axes) -> None:
        colours = [figures.COLOURS["generated" if not row.collapsed else "train"] for row in rows]
        axes.bar(range(len(rows)), [row.ratio for row in rows], 0.6, color=colours)
        axes.axhline(1, color=figures.COLOURS["null"], linewidth=1, linestyle="--")
        axes.axhline(COLLAPSED, color=figures.COLOURS["null"], linewidth=1, linestyle=":")
        step = max(1, len(rows) // 20)
        count = len(comparison.kinds)
        names = [comparison.name(row.kind).split()[-1] if row.kind < count else "all" for row in rows]
        axes.set_xticks(range(0, len(rows), step), names[::step])
        axes.set(xlabel=comparison.kinds.names[0].split()[0], ylabel="distance, 1: as held-out")

    return figures.plot(
        draw,
        "variety",
        "Distance between generated images of a kind, relative to held-out ones (1, dashed). Below the dotted line, "
        "images are nearly identical.",
    )


def _curves_figure(evidence: Evidence, fake: Tensor, real: Tensor, seed: int) -> Figure | None:
    """Plot precision against recall; None if there are too few images or no matplotlib."""
    if not figures.can_plot() or min(len(fake), len(real) // 2) < 5 * CLUSTERS:
        return None
    both = curves(fake, real, RUNS.get(evidence.budget.name, 3), seed)

    def draw(axes: Axes) -> None:
        for (precision, recall), colour, label in zip(both, ("generated", "null"), ("generated", "other real images")):
            axes.plot(recall, precision, color=figures.COLOURS[colour], label=label)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.legend(loc="lower left")

    return figures.plot(
        draw,
        "precision-recall",
        "Precision against recall over clusters of features; grey: real images in place of the generated ones. A curve "
        "that ends early on the right leaves something out.",
        (4.0, 3.4),
    )
