"""What a run looks like from outside: everything in its folder on one page, live or finished.

Nothing is loaded but text and pictures, so it costs a running training nothing.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from zoo.errors import CheckpointError
from zoo.io.files import atomic_write, read_jsonl
from zoo.io.run_folder import RunFolder, watch_picture
from zoo.rendering import html as page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = dict[str, tuple[list[float], list[float]]]
"""Values over images seen, by name."""


@dataclass(frozen=True)
class Watched:
    """What a run folder holds.

    Args:
        folder: of the run.
        recipe: as it runs.
        numbers: the columns of metrics.csv.
        signals: of the alarms.
        events: alarms that rang.
        ended: whether no process is known to go on with it.
    """

    folder: Path
    recipe: dict[str, Any]
    numbers: Series
    signals: Series
    events: list[dict[str, Any]]
    ended: bool
    pictures: dict[str, Figure] = field(default_factory=dict)

    @property
    def images_seen(self) -> int:
        """As far as anything has been written."""
        return int(max((places[-1] for places, _ in [*self.numbers.values(), *self.signals.values()]), default=0))


def read_run(folder: Path) -> Watched:
    """Read a run folder.

    Raises:
        CheckpointError: when it is none.
    """
    files = RunFolder(folder)
    saved = files.recipe
    if not saved.is_file():
        raise CheckpointError(f"{folder} is no run folder: it has no {saved.name}. `python -m zoo.fit` makes one")
    recipe: Any = OmegaConf.to_container(OmegaConf.load(saved), resolve=True)
    starts, ends = files.starts(), files.ends()
    ended = bool(ends) and ends[-1].get("start", len(ends)) >= len(starts)  # earlier starts may have been killed
    return Watched(
        folder,
        recipe,
        _table(files.metrics_table),
        _signals(files.signals),
        read_jsonl(files.events),
        ended=ended,
    )


def write_page(run: Watched, path: Path, refresh: int = 0) -> None:
    """Write the page, and each of its pictures as a PNG into the folder `watch/` beside it."""
    with atomic_write(path) as scratch:
        scratch.write_text(page.page(_title(run), _blocks(run), _lead(run), refresh), encoding="utf-8")
    for name, figure in run.pictures.items():
        with atomic_write(watch_picture(path, name)) as scratch:
            figure.savefig(scratch, dpi=110, format="png", facecolor="white")


# --- reading ---------------------------------------------------------------------------------------------------------


def _table(path: Path) -> Series:
    found: Series = {}
    if path.is_file():
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                with suppress(ValueError, TypeError):  # the last one of a run that was killed may be half a row
                    _add(found, float(row.pop("images_seen")), row.items())
    return found


def _signals(path: Path) -> Series:
    found: Series = {}
    for row in read_jsonl(path):
        _add(found, row["images_seen"], row["values"].items())
    return found


def _add(series: Series, place: float, values: Iterable[tuple[str, Any]]) -> None:
    for name, value in values:
        if value not in (None, ""):
            number = float(value)  # which may be half of one
            places, numbers = series.setdefault(name, ([], []))
            places.append(place)
            numbers.append(number)


# --- the page --------------------------------------------------------------------------------------------------------


def _title(run: Watched) -> str:
    return f"{run.recipe['model']['class']} on {run.recipe['data']['class']}: {run.folder.name}"


def _lead(run: Watched) -> str:
    state = "ended" if run.ended else "running, or killed"
    images = f"{run.images_seen:,} of {run.recipe['images']:,} images seen"
    if any(event.get("action", "").startswith("rollback") for event in run.events):
        images = (
            f"{run.images_seen:,} images seen, of which those in rounds undone do not count to the recipe's "
            f"{run.recipe['images']:,}"
        )
    return f"{images}; {state}. Seed {run.recipe['seed']}."


def _blocks(run: Watched) -> list[page.Html]:
    blocks = [page.heading("Alarms"), *_alarms(run), page.heading("Losses")]
    losses = {name: points for name, points in run.numbers.items() if name.startswith(("d/", "g/"))}
    blocks += _curves(run, "losses", losses, _by_player, "Each term, its mean since the last line of the log.")
    blocks.append(page.heading("Discriminator"))
    blocks += _curves(
        run,
        "scores",
        _some(run, "score/real", "score/fake", "score/held_out"),
        _together("scores"),
        "Mean scores of fixed training images (real), held-out images and generated ones (fake). Where "
        "training and held-out images drift apart, the discriminator overfits.",
    )
    blocks += _curves(
        run,
        "overfitting",
        _some(run, "overfitting/r_v", "overfitting/r_t"),
        _together("overfitting"),
        "r_v: how far held-out images score on the way from training (0) to generated images (1). r_t: "
        "mean sign of training images' scores.",
    )
    blocks.append(page.heading("Generator"))
    blocks += _curves(
        run,
        "diversity",
        _some(run, "diversity", "duplicates"),
        _alone,
        "On fixed latents: how much images differ, in multiples of how much real ones do; the share of "
        "images with a near-duplicate.",
    )
    blocks.append(page.heading("Signals"))
    blocks += _curves(
        run,
        "gradients",
        _some(run, "gradient/d", "gradient/g", "slope/mean"),
        _alone,
        "Norms of the gradients; slope: of the discriminator between real and generated images.",
        logarithmic=True,
    )
    for prefix, what in {
        "activation": "RMS of what each layer puts out on fixed inputs",
        "weight": "RMS of each weight",
        "sigma1": "largest singular value of each weight",
        "update": "Adam's step relative to the weight",
    }.items():
        blocks += _heat_map(run, prefix, what)
    measured = {name: points for name, points in run.numbers.items() if name.startswith("metrics/")}
    measured = {name: points for name, points in measured.items() if not name.endswith("-floor")}
    if measured:
        blocks.append(page.heading("Metrics"))
        blocks += _curves(run, "metrics", measured, _alone, "Against training images, while the run goes on.")
    return blocks + _samples(run)


def _alarms(run: Watched) -> list[page.Html]:
    if not run.signals:
        has = any(part and part.get("class", name) == "Alarms" for name, part in run.recipe["callbacks"].items())
        missing = (
            "No reading has been written yet."
            if has
            else ("This run has no callback `Alarms`; add `Alarms: {}` to its recipe.")
        )
        return [page.paragraph(missing, "note")]
    if not run.events:
        return [page.paragraph("No alarm has rung.", "good")]
    rows = [
        [number, *(event.get(key, "") for key in ("images_seen", "alarm", "reason", "action"))]
        for number, event in enumerate(run.events, 1)
    ]
    return [
        page.table(["", "images seen", "alarm", "reason", "action"], rows),
        page.paragraph("Dashed lines in the pictures stand where an alarm rang.", "note"),
    ]


def _samples(run: Watched) -> list[page.Html]:
    files = RunFolder(run.folder)
    found = [files.evolution_strip] if files.evolution_strip.is_file() else files.sample_grids()
    if not found:
        return []
    over_time = found[-1] == files.evolution_strip
    text = "The same latents over time, the earliest on top." if over_time else "The latest grid of the same latents."
    return [page.heading("Samples"), page.figure(found[-1].read_bytes(), text, pixels=True)]


# --- pictures --------------------------------------------------------------------------------------------------------


def _some(run: Watched, *names: str) -> Series:
    return {name: run.signals[name] for name in names if name in run.signals}


def _by_player(name: str) -> str:
    return {"d": "discriminator", "g": "generator"}.get(name.split("/")[0], name)


def _together(title: str) -> Callable[[str], str]:
    return lambda name: title


def _alone(name: str) -> str:
    return name.removeprefix("metrics/")


def _curves(
    run: Watched, key: str, series: Series, panel_of: Callable[[str], str], caption: str, logarithmic: bool = False
) -> list[page.Html]:
    """Panels of curves over images seen, a picture for each; `panel_of` names the panel of a series."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(map(panel_of, series)))
    blocks = []
    for i, title in enumerate(panels):
        figure = Figure(figsize=(5.2, 2.5), layout="constrained")
        axes = figure.add_subplot()
        mine = {name: points for name, points in series.items() if panel_of(name) == title}
        for colour, (name, (places, values)) in zip(page.LINES * 5, mine.items()):
            axes.plot(places, values, color=colour, linewidth=1.2, label=name.split("/", 1)[-1])
        if logarithmic and all(value > 0 for _, values in mine.values() for value in values):
            axes.set_yscale("log")
        if len(mine) > 1:
            axes.legend(fontsize=7, frameon=False, labelcolor=page.INK)
        _finish(run, axes, title)
        run.pictures[f"{key}-{i + 1}" if len(panels) > 1 else key] = figure
        blocks.append(page.figure(page.drawn(figure), f"{title}, over images seen"))
    return [page.side_by_side(blocks), page.paragraph(caption, "note")] if blocks else []


def _heat_map(run: Watched, prefix: str, what: str) -> list[page.Html]:
    """One row for each layer, time to the right, colour for the value relative to the row's median."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    series = {name.split("/", 1)[1]: points for name, points in run.signals.items() if name.startswith(f"{prefix}/")}
    series = {name: points for name, points in series.items() if not name.endswith(".after")}  # 1 by definition
    if not series:
        return []
    places, values = _matrix(list(series.values()))
    with np.errstate(all="ignore"):
        relative = np.log2(values / np.nanmedian(values, 1, keepdims=True))
    colours = LinearSegmentedColormap.from_list(
        "fall and rise", ["#1f5fae", "#8fb2d9", "#c9ccd0", "#e9a06a", "#b3401a"]
    )
    figure = Figure(figsize=(11, 0.9 + 0.19 * len(series)), layout="constrained")
    axes = figure.add_subplot()
    edges = np.append(places, places[-1] + max(1.0, places[-1] - places[-2] if len(places) > 1 else 1.0))
    mesh = axes.pcolormesh(edges, np.arange(len(series) + 1), relative, cmap=colours, vmin=-2, vmax=2, rasterized=True)
    axes.set_yticks(np.arange(len(series)) + 0.5, list(series))
    axes.invert_yaxis()
    bar = figure.colorbar(mesh, ax=axes, ticks=[-2, -1, 0, 1, 2], aspect=30, pad=0.01)
    bar.ax.set_yticklabels(["1/4", "1/2", "1", "2", "4"])
    bar.ax.tick_params(colors=page.FAINT, labelsize=7)
    _finish(run, axes, what)
    axes.tick_params(axis="y", labelsize=7)
    run.pictures[prefix] = figure
    text = f"{what[0].upper()}{what[1:]}, relative to its own median over the run; white: not in use."
    return [page.figure(page.drawn(figure), text)]


def _matrix(rows: Sequence[tuple[list[float], list[float]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """All places, and the rows' values there; not a number where a row has none."""
    places = sorted({place for row in rows for place in row[0]})
    where = {place: i for i, place in enumerate(places)}
    values = np.full((len(rows), len(places)), math.nan)
    for i, (mine, numbers) in enumerate(rows):
        values[i, [where[place] for place in mine]] = numbers
    return np.array(places), values


def _finish(run: Watched, axes: Axes, title: str) -> None:
    for event in run.events:
        axes.axvline(event["images_seen"], color="#c0392b", linestyle="--", linewidth=0.9)
    axes.set_xlim(0, max(run.images_seen, 1))
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("images seen", fontsize=8)
    page.style_axes(axes)
