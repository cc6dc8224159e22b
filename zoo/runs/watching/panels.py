"""The curves on the page of a run, sorted into panels, and thinned out so that a long run stays quick to draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.runs.comparing.readings import FLOOR, METRICS
from zoo.runs.history import Curve, Curves, RunHistory

SHARES = ("precision", "recall", "density", "coverage")
"""Numbers between 0 and about 1, which share a panel."""
ROWS = 1200
"""Rows of a panel above which it is thinned out: about as many as a screen has columns."""
WIDE = 30.0
"""Quotient of the largest and the smallest value above which a panel begins with a logarithmic axis."""
MAIN, SIGNALS = "main", "signals"
REAL = "real against real"
PAIRS = "for losses without an undecided score, of real less generated images' scores, pair by pair"


@dataclass(frozen=True)
class Panel:
    """Curves that share axes.

    Args:
        key: name for addresses and files.
        title: heading.
        curves: the curves by the names that the legend shows.
        note: explanation of the curves.
        place: "main", or "signals" for what is folded away.
        logarithmic: whether the axis of values begins logarithmic where all values are positive and far apart.
        dashed: names of curves that are drawn dashed, as references.
    """

    key: str
    title: str
    curves: Curves
    note: str = ""
    place: str = MAIN
    logarithmic: bool = False
    dashed: tuple[str, ...] = field(default=())


def panels_of(run: RunHistory) -> list[Panel]:
    """Return the panels of a run in the order of the page, without empty ones."""
    panels = [*_metric_panels(run), *_loss_panels(run), *_signal_panels(run), *_other_panels(run)]
    return [panel for panel in panels if panel.curves]


def _metric_panels(run: RunHistory) -> list[Panel]:
    """Return the measured numbers: shares together, every other number with that of real images."""
    found = {name.removeprefix(METRICS): curve for name, curve in run.metrics.items() if name.startswith(METRICS)}
    note = "Measured during the run, on training images."
    shares: dict[str, Curves] = {}
    panels = []
    for label, curve in found.items():
        name, _, extractor = label.partition("-")
        if name in SHARES:
            shares.setdefault(extractor, {})[name] = curve
        elif not label.endswith(FLOOR):
            floor = found.get(f"{label}{FLOOR}")
            curves = {label: curve, **({REAL: floor} if floor else {})}
            more = f" Dashed: {REAL}, what a perfect generator would get." if floor else ""
            panels.append(Panel(f"metric-{label}", label, curves, note + more, MAIN, True, (REAL,)))
    about = note + " Precision and density: do images look real? Recall and coverage: is everything drawn?"
    together = [
        Panel(f"shares-{extractor}", f"Quality and variety, {extractor}".rstrip(", "), curves, about)
        for extractor, curves in shares.items()
    ]
    return [*panels, *together]


def _loss_panels(run: RunHistory) -> list[Panel]:
    """Return the terms of the losses of both networks, and the strength of the augmentation."""
    note = "Each term of the loss, averaged since the last row of the log."
    return [
        Panel("loss-d", "Losses of the discriminator", _named(run.metrics, prefix="d/"), note),
        Panel("loss-g", "Losses of the generator", _named(run.metrics, prefix="g/"), note),
        Panel(
            "augmentation",
            "Augmentation",
            _named(run.metrics, prefix="augment/", whole=True),
            "p: probability of each transformation. r_t: mean sign of the scores of real images in training, which an "
            f"adaptive p steers to its target; {PAIRS}.",
        ),
    ]


def _signal_panels(run: RunHistory) -> list[Panel]:
    """Return the signals of the alarms that have a panel of their own."""
    signals = run.signals
    return [
        Panel(
            "scores",
            "Scores of the discriminator",
            _named(signals, ["score/real", "score/fake", "score/held_out"]),
            "Mean scores of fixed training images (real), of held-out images and of generated images (fake). Where "
            "those of training and held-out images drift apart, the discriminator overfits.",
        ),
        Panel(
            "overfitting",
            "Overfitting of the discriminator",
            _named(signals, ["overfitting/r_v", "overfitting/r_t"]),
            "r_v: where the mean score of held-out images lies between that of training images (0) and that of "
            f"generated images (1). r_t: mean sign of the scores of training images; {PAIRS}.",
        ),
        Panel(
            "diversity",
            "Diversity of the generator",
            _named(signals, ["diversity", "duplicates"]),
            "Images of fixed latents. Diversity: how much they differ from each other, as a multiple of how much real "
            "images do. Duplicates: the share of images that have a near-duplicate.",
        ),
        Panel(
            "gradients",
            "Norms of the gradients",
            _named(signals, ["gradient/d", "gradient/g", "slope/mean"], whole=True),
            "slope/mean: mean norm of the discriminator's gradient between real and generated images."
            if "slope/mean" in signals
            else "",
            SIGNALS,
            True,
        ),
        Panel("scale", "Spread of the scores", _named(signals, ["score/scale"]), "", SIGNALS, True),
    ]


def _other_panels(run: RunHistory) -> list[Panel]:
    """Return what else was logged, such as by a callback of the user's own, one panel for each prefix."""
    known = (METRICS, "d/", "g/", "augment/", "signals/")  # signals are read from the file of the alarms
    groups: dict[str, Curves] = {}
    for name, curve in run.metrics.items():
        if not name.startswith(known):
            prefix, _, rest = name.rpartition("/")
            groups.setdefault(prefix, {})[rest] = curve
    return [Panel(f"other-{prefix}", prefix or "Other logged values", curves) for prefix, curves in groups.items()]


def _named(curves: Curves, names: Iterable[str] = (), prefix: str = "", whole: bool = False) -> Curves:
    """Return the curves of these names, or with a prefix, by the last part of their names or by the whole names."""
    chosen = [name for name in (names or curves) if name in curves and name.startswith(prefix)]
    return {name if whole else name.rpartition("/")[2]: curves[name] for name in chosen}


def as_values(panel: Panel, rows: int = ROWS) -> dict[str, Any]:
    """Return a panel as plain values for JSON: rows of images seen, and the values of every curve at them.

    Args:
        panel: the panel.
        rows: largest number of rows. A panel of more is thinned out: of each stretch of rows the smallest and the
            largest value of every curve is kept, and the first and the last row; then others, evenly spread.
    """
    seen, values = matrix(list(panel.curves.values()))
    finite = np.where(np.isfinite(values), values, np.nan)
    unplotted = int((~np.isfinite(values)).sum() - np.isnan(matrix_of_gaps(panel.curves, seen)).sum())
    kept = _kept(finite, rows)
    lowest, highest = _range(finite)
    return {
        "key": panel.key,
        "title": panel.title,
        "note": panel.note,
        "place": panel.place,
        "log": panel.logarithmic and lowest > 0 and highest > WIDE * lowest,
        "canLog": lowest > 0,
        "total": len(seen),
        "notFinite": unplotted,
        "x": [int(each) for each in seen[kept]],
        "series": [
            {
                "name": name,
                "dashed": name in panel.dashed,
                "values": [None if np.isnan(each) else float(each) for each in row[kept]],
            }
            for name, row in zip(panel.curves, finite)
        ],
    }


def matrix(curves: Sequence[Curve]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all numbers of images seen (N,), and the curves' values at them (C, N); NaN where a curve has none."""
    all_seen = np.unique(np.concatenate([np.asarray(seen, dtype=float) for seen, _ in curves]))
    values = np.full((len(curves), len(all_seen)), np.nan)
    for i, (seen, numbers) in enumerate(curves):
        values[i, np.searchsorted(all_seen, seen)] = numbers
    return all_seen, values


def matrix_of_gaps(curves: Curves, all_seen: NDArray[Any]) -> NDArray[Any]:
    """Return 1 where a curve has a value, whatever it is, and NaN where it has none: (C, N)."""
    gaps = np.full((len(curves), len(all_seen)), np.nan)
    for i, (seen, _) in enumerate(curves.values()):
        gaps[i, np.searchsorted(all_seen, seen)] = 1.0
    return gaps


def _range(values: NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and the largest value; zeros without any."""
    known = values[~np.isnan(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def _kept(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return the indices of the rows (of values (C, N)) that are drawn, in order."""
    count = values.shape[1]
    if count <= rows:
        return np.arange(count)
    stretches = max(1, (rows - 2) // (2 * len(values)))
    edges = np.linspace(0, count, stretches + 1).astype(int)
    kept = {0, count - 1}
    for row in values:
        known = ~np.isnan(row)
        for first, last in pairwise(edges):
            if known[first:last].any():
                kept |= {first + int(np.nanargmin(row[first:last])), first + int(np.nanargmax(row[first:last]))}
    evenly = np.linspace(0, count - 1, max(rows - len(kept), 0)).astype(int)  # several curves often share their rows
    return np.array(sorted(kept | set(evenly.tolist())))
