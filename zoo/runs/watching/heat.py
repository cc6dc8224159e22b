"""Heat maps of a run: one row for each layer over images seen, as PNG pictures that need no plotting library."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.runs.history import RunHistory
from zoo.runs.watching.panels import matrix

HEAT_MAPS = {
    "activation": "RMS of each layer's output on fixed inputs",
    "weight": "RMS of each weight",
    "sigma1": "largest singular value of each weight",
    "update": "Adam's step relative to the weight",
}
"""Quantities shown as heat maps, by the prefix of their signals."""
COLOURS = ["#1f5fae", "#8fb2d9", "#c9ccd0", "#e9a06a", "#b3401a"]
"""Colours from a quarter of the median to four times it."""
COLUMNS = 300
"""Width of the pictures in pixels; each column shows the last reading before it."""


@dataclass(frozen=True)
class HeatMap:
    """A heat map.

    Args:
        key: prefix of the signals.
        title: the quantity.
        layers: names of the rows.
        picture: a PNG of one row of pixels for each layer.
    """

    key: str
    title: str
    layers: list[str]
    picture: bytes


def heat_maps_of(run: RunHistory) -> list[HeatMap]:
    """Return the heat maps that the signals of a run allow."""
    return [found for prefix, title in HEAT_MAPS.items() if (found := _heat_map(run, prefix, title)) is not None]


def layer_curves(run: RunHistory, prefix: str) -> dict[str, Any]:
    """Return the signals of a prefix by layer, without those that are 1 by definition."""
    curves = {name.split("/", 1)[1]: curve for name, curve in run.signals.items() if name.startswith(f"{prefix}/")}
    return {name: curve for name, curve in curves.items() if not name.endswith(".after")}


def relative(values: NDArray[Any]) -> NDArray[Any]:
    """Return the binary logarithm of values (C, N) relative to the median of their row; NaN where there is none."""
    with np.errstate(all="ignore"):
        known = np.where(np.isfinite(values), values, np.nan)
        medians = [np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else np.nan for row in known]
        found: NDArray[Any] = np.log2(known / np.array(medians)[:, None])
    return found


def _heat_map(run: RunHistory, prefix: str, title: str) -> HeatMap | None:
    """Return one heat map; None where the run has no such signal."""
    curves = layer_curves(run, prefix)
    if not curves:
        return None
    seen, values = matrix(list(curves.values()))
    columns = np.linspace(0, max(run.images_seen, 1), COLUMNS, endpoint=False)
    shown = relative(values)[:, np.clip(np.searchsorted(seen, columns, side="right") - 1, 0, len(seen) - 1)]
    shown[:, columns < seen[0]] = np.nan
    return HeatMap(prefix, title, list(curves), _png(shown))


def _png(logarithms: NDArray[Any]) -> bytes:
    """Return a PNG of binary logarithms (C, N), from -2 to 2; what is not known is transparent."""
    from PIL import Image  # here: a fault of the command line is said without it

    stops = np.linspace(-2, 2, len(COLOURS))
    channels = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS])
    known = ~(np.isnan(logarithms) | np.isinf(logarithms))
    clipped = np.clip(np.where(known, logarithms, 0), -2, 2)
    pixels = np.stack([np.interp(clipped, stops, channels[:, i]) for i in range(3)] + [255 * known], -1)
    buffer = io.BytesIO()
    Image.fromarray(pixels.round().astype(np.uint8)).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
