"""Plots of a run's history: curves over images seen, and heat maps with one row for each layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.rendering import svg
from zoo.runs.history import Curve, Curves, RunHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT_COLOURS = ["#1f5fae", "#8fb2d9", "#c9ccd0", "#e9a06a", "#b3401a"]  # from a quarter of the median to four times it


@dataclass(frozen=True)
class Plot:
    """A figure of the page.

    Args:
        key: name of the PNG file beside the page, without suffix.
        caption: sentence below the figure.
        figure: the drawn figure.
    """

    key: str
    caption: str
    figure: Figure


def plot_curves(
    run: RunHistory, key: str, curves: Curves, panel_of: Callable[[str], str], logarithmic: bool = False
) -> list[Plot]:
    """Plot curves over images seen, one figure for each panel.

    Args:
        run: the run, for its alarms and its length.
        key: name of the PNG file; where there are several panels, `-1`, `-2` and so on are appended.
        curves: the curves to plot.
        panel_of: function that maps the name of a curve to the title of its panel.
        logarithmic: whether a panel without values of 0 or less has a logarithmic axis.
    """
    from matplotlib.figure import Figure

    titles = list(dict.fromkeys(map(panel_of, curves)))
    plots = []
    for i, title in enumerate(titles):
        figure = Figure(figsize=(5.2, 2.5), layout="constrained")
        axes = figure.add_subplot()
        panel = {name: curve for name, curve in curves.items() if panel_of(name) == title}
        for colour, (name, (seen, values)) in zip(svg.LINES * 5, panel.items()):
            axes.plot(seen, values, color=colour, linewidth=1.2, label=name.split("/", 1)[-1])
        if logarithmic and all(value > 0 for _, values in panel.values() for value in values):
            axes.set_yscale("log")
        if len(panel) > 1:
            axes.legend(fontsize=7, frameon=False, labelcolor=svg.INK)
        _finish(run, axes, title)
        plots.append(Plot(f"{key}-{i + 1}" if len(titles) > 1 else key, f"{title}, over images seen", figure))
    return plots


def plot_heat_map(run: RunHistory, prefix: str, description: str) -> list[Plot]:
    """Plot one row for each layer over images seen; the colour is the value relative to the median of its row.

    Args:
        run: the run.
        prefix: part of the names of the signals before the slash, and the name of the PNG file.
        description: the quantity, for title and caption.

    Returns:
        One plot, or none where the run has no such signal.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    curves = {name.split("/", 1)[1]: curve for name, curve in run.signals.items() if name.startswith(f"{prefix}/")}
    curves = {name: curve for name, curve in curves.items() if not name.endswith(".after")}  # 1 by definition
    if not curves:
        return []
    seen, values = _matrix(list(curves.values()))
    with np.errstate(all="ignore"):
        relative = np.log2(values / np.nanmedian(values, 1, keepdims=True))
    figure = Figure(figsize=(11, 0.9 + 0.19 * len(curves)), layout="constrained")
    axes = figure.add_subplot()
    edges = np.append(seen, seen[-1] + max(1.0, seen[-1] - seen[-2] if len(seen) > 1 else 1.0))
    colours = LinearSegmentedColormap.from_list("fall and rise", HEAT_COLOURS)
    mesh = axes.pcolormesh(edges, np.arange(len(curves) + 1), relative, cmap=colours, vmin=-2, vmax=2, rasterized=True)
    axes.set_yticks(np.arange(len(curves)) + 0.5, list(curves))
    axes.invert_yaxis()
    bar = figure.colorbar(mesh, ax=axes, ticks=[-2, -1, 0, 1, 2], aspect=30, pad=0.01)
    bar.ax.set_yticklabels(["1/4", "1/2", "1", "2", "4"])
    bar.ax.tick_params(colors=svg.FAINT, labelsize=7)
    _finish(run, axes, description)
    axes.tick_params(axis="y", labelsize=7)
    caption = f"{description[0].upper()}{description[1:]}, relative to its own median over the run; white: not in use."
    return [Plot(prefix, caption, figure)]


def _matrix(curves: Sequence[Curve]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all numbers of images seen (N,), and the curves' values at them (C, N); NaN where a curve has none."""
    all_seen = sorted({seen for curve in curves for seen in curve[0]})
    columns = {seen: i for i, seen in enumerate(all_seen)}
    matrix = np.full((len(curves), len(all_seen)), math.nan)
    for i, (seen, values) in enumerate(curves):
        matrix[i, [columns[each] for each in seen]] = values
    return np.array(all_seen), matrix


def _finish(run: RunHistory, axes: Axes, title: str) -> None:
    """Mark the alarms, and set limits, title and style of the axes."""
    for event in run.events:
        axes.axvline(event["images_seen"], color="#c0392b", linestyle="--", linewidth=0.9)
    axes.set_xlim(0, max(run.images_seen, 1))
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("images seen", fontsize=8)
    svg.style_axes(axes)
