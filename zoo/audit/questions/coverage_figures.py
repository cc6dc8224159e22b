"""The table and the figures of the question what a generator leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure
from zoo.audit.questions.coverage_kinds import Comparison
from zoo.audit.statistics.manifolds import CLUSTERS, curves
from zoo.audit.statistics.shares import COLLAPSED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RUNS = {"quick": 1, "standard": 3, "full": 10}  # clusterings behind the precision-recall curve; 10 in the paper


def table(comparison: Comparison) -> list[dict[str, object]]:
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


def shares_figure(comparison: Comparison) -> Figure | None:
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


def variety_figure(comparison: Comparison) -> Figure | None:
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


def curves_figure(evidence: Evidence, real: Tensor, fake: Tensor, seed: int) -> Figure | None:
    """Plot precision against recall; None if there are too few images or no matplotlib."""
    if not figures.can_plot() or min(len(fake), len(real) // 2) < 5 * CLUSTERS:
        return None
    both = curves(real, fake, RUNS.get(evidence.budget.name, 3), seed)

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
