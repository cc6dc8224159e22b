"""Plots of metrics over a run or over truncations, with matplotlib, which the base install lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.io.files import atomic_write

Row = dict[str, Any]
PANEL = (4.0, 2.8)
"""Width and height of a panel with its labels, in inches."""
MARGINS = (0.65, 0.12, 0.5, 0.35)
"""Of a panel, left, right, below and above, in inches. Given beforehand: matplotlib's layouts draw everything twice."""
TICKS = 5
"""Intervals of an axis at most: most of the time goes into ticks, and this is drawn while a run waits."""


def draw_curves(rows: Sequence[Row], x: str, x_label: str, path: Path) -> None:
    """Plot each metric in a panel of its own, with its floor as a dashed line and its interval shaded.

    The file is written atomically.

    Args:
        rows: mappings with the position on the horizontal axis under the key `x`, and under `numbers` a list of
            `Number.as_dict()`.
        x: key of the position on the horizontal axis.
        x_label: label of the horizontal axis.
        path: path of the PNG file.
    """
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    labels = list(dict.fromkeys(number["label"] for row in rows for number in row["numbers"]))
    columns = min(3, len(labels))
    lines = -(-len(labels) // columns)
    (width, height), (left, right, below, above) = (columns * PANEL[0], lines * PANEL[1]), MARGINS
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=below / height,
        top=1 - above / height,
        wspace=(left + right) / (PANEL[0] - left - right),
        hspace=(below + above) / (PANEL[1] - below - above),
    )
    for i, label in enumerate(labels):
        axes = figure.add_subplot(lines, columns, i + 1)
        axes.locator_params(nbins=TICKS)
        points = [(row[x], n) for row in rows for n in row["numbers"] if n["label"] == label and n["value"] is not None]
        axes.plot([position for position, _ in points], [n["value"] for _, n in points], marker="o", markersize=3)
        with_interval = [(position, n) for position, n in points if n["low"] is not None]
        if with_interval:
            low, high = [n["low"] for _, n in with_interval], [n["high"] for _, n in with_interval]
            axes.fill_between([position for position, _ in with_interval], low, high, alpha=0.2)
        floors = [n["floor"] for _, n in points if n["floor"] is not None]
        if floors:
            axes.axhline(floors[-1], linestyle="--", linewidth=1, color="grey", label=f"real data: {floors[-1]:.4g}")
            axes.legend(fontsize="small")
        axes.set_title(label, fontsize="medium")
        axes.set_xlabel(x_label)
    with atomic_write(path) as scratch:
        figure.savefig(scratch, dpi=110, format="png")
