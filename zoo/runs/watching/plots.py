"""Plots of a run's history as figures of matplotlib, for the PNG files beside its page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.rendering import svg
from zoo.runs.history import RunHistory
from zoo.runs.watching.heat import COLOURS, HeatMap, heat_maps_of, layer_curves, relative
from zoo.runs.watching.panels import Panel, as_values, matrix, panels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """A plot.

    Args:
        key: name of the PNG file beside the page, without suffix.
        figure: the drawn figure.
    """

    key: str
    figure: Figure


def plots_of(run: RunHistory) -> list[Plot]:
    """Draw every panel of a run, and its heat maps."""
    panels = [_plot_panel(run, panel) for panel in panels_of(run)]
    return [*panels, *(_plot_heat_map(run, heat) for heat in heat_maps_of(run))]


def _plot_panel(run: RunHistory, panel: Panel) -> Plot:
    """Plot the curves of a panel over images seen; of a long run the rows that the page shows too."""
    from matplotlib.figure import Figure

    values = as_values(panel)
    figure = Figure(figsize=(5.2, 2.5), layout="constrained")
    axes = figure.add_subplot()
    for colour, series in zip(svg.LINES * 20, values["series"]):
        known = [(seen, value) for seen, value in zip(values["x"], series["values"]) if value is not None]
        style = "--" if series["dashed"] else "-"
        axes.plot(*zip(*known) if known else ([], []), style, color=colour, linewidth=1.2, label=series["name"])
    if values["log"]:
        axes.set_yscale("log")
    if len(values["series"]) > 1:
        axes.legend(fontsize=7, frameon=False, labelcolor=svg.INK)
    _finish(run, axes, panel.title)
    return Plot(file_name(panel.key), figure)


def file_name(key: str) -> str:
    """Return a key as a name of a file: what is no letter, digit, dot or hyphen becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", key).strip(".-") or "other"


def _plot_heat_map(run: RunHistory, heat: HeatMap) -> Plot:
    """Plot one row for each layer over images seen; the colour is the value relative to the median of its row."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    seen, values = matrix(list(layer_curves(run, heat.key).values()))
    layers = heat.layers
    figure = Figure(figsize=(11, 0.9 + 0.19 * len(layers)), layout="constrained")
    axes = figure.add_subplot()
    edges = np.append(seen, seen[-1] + max(1.0, seen[-1] - seen[-2] if len(seen) > 1 else 1.0))
    colours = LinearSegmentedColormap.from_list("fall and rise", COLOURS)
    rows = np.arange(len(layers) + 1)
    mesh = axes.pcolormesh(edges, rows, relative(values), cmap=colours, vmin=-2, vmax=2, rasterized=True)
    axes.set_yticks(np.arange(len(layers)) + 0.5, layers)
    axes.invert_yaxis()
    bar = figure.colorbar(mesh, ax=axes, ticks=[-2, -1, 0, 1, 2], aspect=30, pad=0.01)
    bar.ax.set_yticklabels(["1/4", "1/2", "1", "2", "4"])
    bar.ax.tick_params(colors=svg.FAINT, labelsize=7)
    _finish(run, axes, heat.title)
    axes.tick_params(axis="y", labelsize=7)
    return Plot(heat.key, figure)


def _finish(run: RunHistory, axes: Axes, title: str) -> None:
    """Mark the alarms, and set limits, title and style of the axes."""
    for event in run.events:
        axes.axvline(event["images_seen"], color="#c0392b", linestyle="--", linewidth=0.9)
    axes.set_xlim(0, max(run.images_seen, 1))
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("images seen", fontsize=8)
    svg.style_axes(axes)
