"""What does it leave out? Classes or kinds of images drawn too rarely, variety lost inside them, and how far both
distributions overlap as precision and recall, density and coverage see it.
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
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic, Status, Verdict
from zoo.audit.findings.words import percent
from zoo.audit.statistics.manifolds import CLUSTERS, Halves, curves, frequencies, neighbourhoods, over_halves
from zoo.audit.statistics.shares import COLLAPSED, DROPPED, Share, Variety, agreement, shares, unmixed_shares, variety
from zoo.audit.statistics.significance import ALARM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "What does it leave out?"

GIVEN = "given by the labels asked for"
FEWEST = 40  # images on each side: halves of 20, whose balls of five neighbours are not yet everything
LISTED = 5  # kinds named in a sentence
RUNS = {"quick": 1, "standard": 3, "full": 10}  # clusterings behind the curve; the paper's 10
REPEATS = {"quick": 3, "standard": 5, "full": 20}  # random halves behind precision, recall, density and coverage


@dataclass(frozen=True)
class Sorted:
    """What is known of the kinds.

    Args:
        kinds: images sorted into them.
        rows: how often each is drawn, or, where `given`, how often an image asked for as a kind is seen as it.
        by: where the shares come from, in words; `GIVEN` where the generator is told the classes, so that its shares
            say nothing.
        varieties: of the kinds with enough images, and of the whole as the last one.
    """

    kinds: Kinds
    rows: list[Share]
    by: str
    varieties: list[Variety]

    @property
    def given(self) -> bool:
        """Whether the generator is told the classes."""
        return self.by == GIVEN

    @property
    def dropped(self) -> list[Share]:
        """Kinds left out."""
        return [row for row in self.rows if row.dropped]

    @property
    def collapsed(self) -> list[Variety]:
        """Kinds without variety; the whole, when it has none."""
        return [row for row in self.varieties if row.collapsed]

    def name(self, kind: int) -> str:
        """In words."""
        return self.kinds.names[kind] if kind < len(self.kinds) else "all images together"


def ask(evidence: Evidence) -> Finding:
    """Shares and variety of kinds, which ring; overlap of the distributions and frequencies, which are told.

    Raises:
        NotApplicable: for too few images.
    """
    sizes = len(evidence.generated), len(evidence.held_out)
    if min(sizes) < FEWEST:
        raise NotApplicable(
            f"coverage needs at least {FEWEST} generated and {FEWEST} held-out images; got {sizes[0]} and {sizes[1]}"
        )
    fake, real = evidence.features("generated"), evidence.features("held_out")
    found = _sort(evidence, fake, real)
    evidence.report("precision, recall, density and coverage")
    name, seed = evidence.budget.name, evidence.seed_of("coverage") % 2**31
    near = over_halves(fake, real, neighbourhoods, REPEATS.get(name, 5), seed)
    votes, by = _memberships(evidence, found.kinds)
    frequency = over_halves(*votes, frequencies, REPEATS.get(name, 5), seed)
    statistics = [near.statistic(key) for key in near.generated] + [
        frequency.statistic(key) for key in frequency.generated
    ]
    statistics += _statistics_of_kinds(found) + _modes(evidence)
    flags = _flags(found)
    low = _much_lower(near)
    status: Status = "alarm" if flags else ("note" if low else "passed")
    return Finding(
        "coverage",
        QUESTION,
        status,
        _answer(found, near, low),
        tuple(statistics),
        flags,
        _figures(evidence, found, fake, real, seed),
        {
            "generated": sizes[0],
            "held_out": sizes[1],
            "half": near.n,
            "halves": len(near.null["recall"]),
            "kinds": len(found.kinds),
            "kinds_by": found.kinds.by,
            "kinds_right_on_held_out": found.kinds.right,
            "memberships": by,
            "p_below": ALARM,
            "dropped_below": DROPPED,
            "collapsed_below": COLLAPSED,
            "precision_and_recall_k": 3,
            "density_and_coverage_k": 5,
            "space": evidence.space,
            "shares": found.by,
            "table": [_row(found, row) for row in found.rows],
        },
    )


def _sort(evidence: Evidence, fake: Tensor, real: Tensor) -> Sorted:
    """Kinds, shares and variety."""
    kinds = kinds_of(evidence)
    asked, true = evidence.generated.labels, evidence.held_out.labels
    mine, theirs = kinds.generated, kinds.held_out
    if not kinds.clusters and asked is not None and true is not None:
        assert evidence.train.labels is not None
        known = torch.unique(evidence.train.labels)
        seen, seen_real = known[mine] == asked, known[theirs] == true
        mine, theirs = (torch.searchsorted(known, side).clamp(max=len(known) - 1) for side in (asked, true))
        rows, by = agreement(seen, mine, seen_real, theirs, len(kinds)), GIVEN
    else:
        unmixed = None if kinds.truth is None else unmixed_shares(*kinds.votes, kinds.truth)
        rows = shares(*kinds.counts()) if unmixed is None else unmixed
        by = "as judged" if unmixed is None else "freed of the judge's mistakes, which held-out classes tell"
    draw = evidence.rng("variety")
    found = variety(fake, mine, real, theirs, len(kinds), draw)
    (whole,) = variety(fake, torch.zeros(len(fake)), real, torch.zeros(len(real)), 1, draw)
    return Sorted(kinds, rows, by, [*found, Variety(len(kinds), whole.drawn, whole.usual, whole.n, whole.p)])


def _memberships(evidence: Evidence, kinds: Kinds) -> tuple[tuple[Tensor, Tensor], str]:
    """Class memberships of both sides: a classifier's probabilities where the extractor has some."""
    logits = [evidence.extracted(side).logits for side in ("generated", "held_out")]
    if logits[0] is not None and logits[1] is not None:
        return (logits[0].softmax(1), logits[1].softmax(1)), f"class probabilities of {evidence.space}"
    return kinds.votes, kinds.by


def _much_lower(near: Halves) -> list[str]:
    """Which of precision, recall and coverage is below half of what real images have. Told, no alarm: much depends on
    the features.
    """
    keys = ("precision", "recall", "coverage")
    return [key for key in keys if near.generated[key].mean() < 0.5 * near.null[key].mean()]


# --- what is said ----------------------------------------------------------------------------------------------------


def _flags(found: Sorted) -> dict[Verdict, str]:
    flags: dict[Verdict, str] = {}
    if found.collapsed:
        worst = min(found.collapsed, key=lambda row: row.ratio)
        names = _list([found.name(row.kind) for row in found.collapsed])
        flags["collapsed"] = f"images of {names} are nearly alike, down to {percent(worst.ratio)} of the usual distance"
    if found.dropped:
        names = _list([found.name(row.kind) for row in sorted(found.dropped, key=lambda row: row.ratio)])
        does = "not drawn when asked for" if found.given else "drawn less than half as often as real images have them"
        flags["dropping classes"] = f"{names} {does}"
    return flags


def _answer(found: Sorted, near: Halves, low: list[str]) -> str:
    what = "kinds of images" if found.kinds.clusters else "classes"
    said = []
    if found.dropped:
        rows = sorted(found.dropped, key=lambda row: row.ratio)[:LISTED]
        parts = [
            f"{found.name(row.kind)} ({percent(row.drawn[0], 1)} instead of {percent(row.usual[0], 1)})" for row in rows
        ]
        more = "" if len(found.dropped) <= LISTED else f", and {len(found.dropped) - LISTED} more"
        verb = "Asked for, it rarely draws" if found.given else "It leaves out"
        said.append(f"{verb} {len(found.dropped)} of {len(found.kinds)} {what}: {', '.join(parts)}{more}.")
    if found.collapsed:
        names = _list([found.name(row.kind) for row in found.collapsed])
        least = min(row.ratio for row in found.collapsed)
        said.append(
            f"Images of {names} are nearly alike: they lie at {percent(least)} of the usual distance from each other."
        )
    if not said:
        missing = (
            "every class is drawn when asked for" if found.given else f"none of {len(found.kinds)} {what} is missing"
        )
        said.append(f"Nothing large: {missing}, and none has lost its variety.")
    recall, null = near.generated["recall"].mean(), near.null["recall"].mean()
    said.append(
        f"Of real images, {percent(recall)} lie among generated ones; among as many other real ones, "
        f"{percent(null)} do."
    )
    if "precision" in low and found.dropped:
        said.append("Few generated images look like real ones, so part of this may be looks instead of shares.")
    elif low and not found.dropped and not found.collapsed:
        said.append(f"Low against real images: {', '.join(low)}.")
    return " ".join(said)


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"


def _row(found: Sorted, row: Share) -> dict[str, object]:
    apart = {v.kind: round(v.ratio, 4) for v in found.varieties}
    return {
        "name": found.name(row.kind),
        "generated": row.drawn[0],
        "held_out": row.usual[0],
        "p": row.p,
        "variety": apart.get(row.kind),
    }


def _statistics_of_kinds(found: Sorted) -> list[Statistic]:
    what = "kinds" if found.kinds.clusters else "classes"
    least = min(found.rows, key=lambda row: row.ratio)
    (_, lower, upper), usual = least.drawn, least.usual[0]
    n = sum(row.n for row in found.rows) if found.given else least.n
    closest = min(found.varieties, key=lambda row: row.ratio)
    return [
        Statistic(
            f"{what} left out",
            len(found.dropped),
            null=0,
            n=n,
            alarm=bool(found.dropped),
            says=f"of {len(found.kinds)}; less than half of their share, beyond chance",
        ),
        Statistic(
            f"{what} over- or under-drawn",
            sum(row.differs for row in found.rows),
            null=0,
            n=n,
            says=f"of {len(found.kinds)}; another share than held-out images have, beyond chance",
        ),
        Statistic(
            f"share of the rarest against its usual, {found.name(least.kind)}",
            least.ratio,
            lower / usual if usual else None,
            upper / usual if usual else None,
            1.0,
            n=least.n,
            alarm=least.dropped,
            says="1: as often as among held-out images",
        ),
        Statistic(
            f"least variety, {found.name(closest.kind)}",
            closest.ratio,
            null=1.0,
            n=closest.n,
            alarm=closest.collapsed,
            says="median distance between its images, over that of held-out ones",
        ),
        Statistic(f"{what} without variety", len(found.collapsed), null=0, n=n, alarm=bool(found.collapsed)),
    ]


def _modes(evidence: Evidence) -> list[Statistic]:
    """How many of the classes the extractor knows are drawn at all, where these are the modes of the data."""
    modes = evidence.extras.get("modes")
    logits = [evidence.extracted(side).logits for side in ("generated", "held_out")]
    if logits[0] is None or logits[1] is None or modes != logits[0].shape[1]:
        return []
    n = min(len(side) for side in logits if side is not None)
    mine, theirs = (len(torch.unique(side[:n].argmax(1))) for side in logits if side is not None)
    says = f"of {modes} that {evidence.space} tells apart, reached by {n:,} images"
    return [Statistic("modes", mine, null=theirs, n=n, says=says)]


# --- what is shown ---------------------------------------------------------------------------------------------------


def _figures(evidence: Evidence, found: Sorted, fake: Tensor, real: Tensor, seed: int) -> tuple[Figure, ...]:
    drawn = [_shares_figure(found), _variety_figure(found)]
    if figures.can_plot() and min(len(fake), len(real) // 2) >= 5 * CLUSTERS:
        both = curves(fake, real, RUNS.get(evidence.budget.name, 3), seed)

        def draw(axes: Axes) -> None:
            for (precision, recall), colour, label in zip(
                both, ("generated", "null"), ("generated", "other real images")
            ):
                axes.plot(recall, precision, color=figures.COLOURS[colour], label=label)
            axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
            axes.legend(loc="lower left")

        drawn.append(
            figures.plot(
                draw,
                "precision-recall",
                "Precision against recall over clusters of features; real images in the "
                "generator's place give the grey curve. A curve that ends early on the right leaves out.",
                (4.0, 3.4),
            )
        )
    return tuple(figure for figure in drawn if figure is not None)


def _shares_figure(found: Sorted) -> Figure | None:
    rows = found.rows
    sides = (("held_out", [row.usual for row in rows]), ("generated", [row.drawn for row in rows]))

    def draw(axes: Axes) -> None:
        for shift, (side, found_shares) in zip((-0.2, 0.2), sides):
            values, lows, highs = (np.array(column) for column in zip(*found_shares))
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
        axes.set_xticks(range(0, len(rows), step), [found.name(row.kind).split()[-1] for row in rows][::step])
        axes.set(xlabel=found.kinds.names[0].split()[0], ylabel="seen as asked" if found.given else "share of images")
        axes.legend()

    caption = (
        "Images seen as the class asked for, beside held-out images seen as their class."
        if found.given
        else "How often each kind is drawn, beside held-out images. Lines are 95 % intervals."
    )
    return figures.plot(draw, "shares", caption)


def _variety_figure(found: Sorted) -> Figure | None:
    rows = found.varieties

    def draw(axes: Axes) -> None:
        colours = [figures.COLOURS["generated" if not row.collapsed else "train"] for row in rows]
        axes.bar(range(len(rows)), [row.ratio for row in rows], 0.6, color=colours)
        axes.axhline(1, color=figures.COLOURS["null"], linewidth=1, linestyle="--")
        axes.axhline(COLLAPSED, color=figures.COLOURS["null"], linewidth=1, linestyle=":")
        step = max(1, len(rows) // 20)
        names = [found.name(row.kind).split()[-1] if row.kind < len(found.kinds) else "all" for row in rows]
        axes.set_xticks(range(0, len(rows), step), names[::step])
        axes.set(xlabel=found.kinds.names[0].split()[0], ylabel="distance, 1: as held-out")

    return figures.plot(
        draw,
        "variety",
        "How far generated images of a kind lie apart, against held-out ones (1, dashed). Below the "
        "dotted line they are nearly alike.",
    )
