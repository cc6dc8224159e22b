"""Pictures of numbers: over a run, and over truncations. Drawn with matplotlib, which the base install lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.io.files import atomic_write

Row = dict[str, Any]


def draw_curves(rows: Sequence[Row], x: str, x_label: str, path: Path) -> None:
    """One panel for each number, its floor dashed and its interval shaded; written complete or not at all.

    Args:
        rows: each with a value under `x` and `numbers`, a list of `Number.as_dict()`.
        x: name of the horizontal axis' values.
        x_label: what they are.
        path: of the PNG.
    """
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    labels = list(dict.fromkeys(number["label"] for row in rows for number in row["numbers"]))
    columns = min(3, len(labels))
    lines = -(-len(labels) // columns)
    figure = Figure(figsize=(4 * columns, 2.8 * lines), layout="constrained")
    for i, label in enumerate(labels):
        axes = figure.add_subplot(lines, columns, i + 1)
        found = [(row[x], n) for row in rows for n in row["numbers"] if n["label"] == label and n["value"] is not None]
        places = [place for place, _ in found]
        axes.plot(places, [n["value"] for _, n in found], marker="o", markersize=3)
        if any(n["low"] is not None for _, n in found):
            sure = [(place, n) for place, n in found if n["low"] is not None]
            low, high = [n["low"] for _, n in sure], [n["high"] for _, n in sure]
            axes.fill_between([place for place, _ in sure], low, high, alpha=0.2)
        floors = [n["floor"] for _, n in found if n["floor"] is not None]
        if floors:
            axes.axhline(floors[-1], linestyle="--", linewidth=1, color="grey", label=f"real data: {floors[-1]:.4g}")
            axes.legend(fontsize="small")
        axes.set_title(label, fontsize="medium")
        axes.set_xlabel(x_label)
    with atomic_write(path) as scratch:
        figure.savefig(scratch, dpi=110, format="png")
