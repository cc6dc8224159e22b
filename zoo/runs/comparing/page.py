"""The page of a comparison: tables, differences, and curves with a band of one deviation over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from zoo.io.files import atomic_write
from zoo.rendering import svg
from zoo.rendering.templating import render
from zoo.runs.comparing.comparison import Comparison, PooledCurve, Table
from zoo.runs.comparing.output import EXPLANATION, HEAD, cells, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("templates") / "comparison.html"


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page of a comparison, one file without scripts; without matplotlib it has no curves and says so."""
    text = render(
        TEMPLATE,
        title="Comparison of " + (", ".join(group.name for group in comparison.groups[:3]) or "runs"),
        comparison=comparison,
        explanation=EXPLANATION,
        head=HEAD,
        rows_of=lambda table: [cells(row) for row in table.rows],
        sentence=sentence,
        drawing_of=_drawing,
        can_plot=svg.can_plot(),
    )
    with atomic_write(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _drawing(table: Table) -> tuple[Markup, str] | None:
    """Return the curves of a table as SVG with their caption; None where there are none, or matplotlib is missing."""
    if not table.curves or not svg.can_plot():
        return None
    seeds = sorted({curve.n for curve in table.curves})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    caption = f"{table.label} over images seen: the mean over seeds ({count})"
    caption += ", and a band of one standard deviation over seeds" if any(c.deviation for c in table.curves) else ""
    return svg.inline_svg(draw_curves(table.curves, table.label), caption), caption


def draw_curves(curves: list[PooledCurve], label: str) -> Figure:
    """Draw the mean of each group over images seen, with a band of one standard deviation over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for colour, curve in zip(svg.LINES * 20, curves):
        mean, name = np.array(curve.mean), f"{curve.group} (n = {curve.n})"
        axes.plot(curve.images_seen, mean, color=colour, linewidth=1.4, marker="o", markersize=2.5, label=name)
        if curve.deviation:
            deviation = np.array(curve.deviation)
            axes.fill_between(curve.images_seen, mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0)
    axes.set_xlim(left=0)
    axes.set_title(label, fontsize=9)
    axes.set_xlabel("images seen", fontsize=8)
    axes.legend(fontsize=7, frameon=False, labelcolor=svg.INK)
    svg.style_axes(axes)
    return figure
