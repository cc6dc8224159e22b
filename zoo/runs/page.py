"""The page of a run: its alarms, losses, signals, metrics and samples, while it trains and afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.io.files import atomic_write
from zoo.io.run_folder import RunFolder, watch_picture
from zoo.rendering.svg import inline_svg
from zoo.rendering.templating import render
from zoo.runs.history import Curves, RunHistory
from zoo.runs.plots import Plot, plot_curves, plot_heat_map

TEMPLATE = Path(__file__).with_name("templates") / "run.html"
HEAT_MAPS = {
    "activation": "RMS of each layer's output on fixed inputs",
    "weight": "RMS of each weight",
    "sigma1": "largest singular value of each weight",
    "update": "Adam's step relative to the weight",
}
"""Quantities shown as heat maps, by the prefix of their signals."""


@dataclass(frozen=True)
class Group:
    """Plots with a common note below them.

    Args:
        plots: the plots; without any, the note is not shown either.
        note: explanation of the plots.
        side_by_side: whether they stand in as many columns as the screen has room for; otherwise below each other.
    """

    plots: list[Plot]
    note: str = ""
    side_by_side: bool = True


def write_page(run: RunHistory, path: Path, refresh: int = 0) -> None:
    """Write the page of a run, and each of its plots as a PNG into the folder `watch/` beside it.

    Args:
        run: the records of the run.
        path: path of the HTML file.
        refresh: seconds after which a browser loads the page again; 0 for never.
    """
    sections = _sections(run)
    text = render(
        TEMPLATE,
        title=f"{run.recipe['model']['class']} on {run.recipe['data']['class']}: {run.folder.name}",
        progress=describe_progress(run),
        refresh=refresh,
        run=run,
        has_alarms=_has_alarms(run),
        alarms=_alarm_rows(run),
        sections=sections,
        samples=_samples(run),
        inline_svg=inline_svg,
    )
    with atomic_write(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
    for plot in (plot for groups in sections.values() for group in groups for plot in group.plots):
        with atomic_write(watch_picture(path, plot.key)) as scratch:
            plot.figure.savefig(scratch, dpi=110, format="png", facecolor="white")


def describe_progress(run: RunHistory) -> str:
    """Describe in a sentence how far a run has got and whether it has ended."""
    state = "ended" if run.ended else "running, or killed"
    images = f"{run.images_seen:,} of {run.recipe['images']:,} images seen"
    if any(event.get("action", "").startswith("rollback") for event in run.events):
        images = (
            f"{run.images_seen:,} images seen, including those of rounds that a rollback undid, which do not count "
            f"towards the recipe's {run.recipe['images']:,}"
        )
    return f"{images}; {state}. Seed {run.recipe['seed']}."


def _has_alarms(run: RunHistory) -> bool:
    """Check whether the recipe of a run has the callback `Alarms`."""
    callbacks: dict[str, Any] = run.recipe["callbacks"]
    return any(part and part.get("class", name) == "Alarms" for name, part in callbacks.items())


def _alarm_rows(run: RunHistory) -> list[list[Any]]:
    """Return one row for each alarm that was raised: its number, images seen, name, reason and action."""
    keys = ("images_seen", "alarm", "reason", "action")
    return [[number, *(event.get(key, "") for key in keys)] for number, event in enumerate(run.events, 1)]


def _sections(run: RunHistory) -> dict[str, list[Group]]:
    """Draw all plots; returns the sections of the page by their headings."""
    losses = {name: curve for name, curve in run.metrics.items() if name.startswith(("d/", "g/"))}
    metrics = {name: curve for name, curve in run.metrics.items() if name.startswith("metrics/")}
    metrics = {name: curve for name, curve in metrics.items() if not name.endswith("-floor")}
    sections = {
        "Losses": [
            Group(
                plot_curves(run, "losses", losses, _player),
                "Each term of the losses, averaged since the last row of the log.",
            )
        ],
        "Discriminator": [
            Group(
                plot_curves(
                    run, "scores", _signals(run, "score/real", "score/fake", "score/held_out"), _panel("scores")
                ),
                "Mean scores of fixed training images (real), of held-out images and of generated images (fake). Where "
                "the scores of training and held-out images drift apart, the discriminator overfits.",
            ),
            Group(
                plot_curves(
                    run, "overfitting", _signals(run, "overfitting/r_v", "overfitting/r_t"), _panel("overfitting")
                ),
                "r_v: where the mean score of held-out images lies between that of training images (0) and that of "
                "generated images (1). r_t: mean sign of the scores of training images.",
            ),
        ],
        "Generator": [
            Group(
                plot_curves(run, "diversity", _signals(run, "diversity", "duplicates"), _own_panel),
                "Images of fixed latents. Diversity: how much they differ from each other, as a multiple of how much "
                "real images do. Duplicates: the share of images that have a near-duplicate.",
            )
        ],
        "Signals": [
            Group(
                plot_curves(
                    run, "gradients", _signals(run, "gradient/d", "gradient/g", "slope/mean"), _own_panel, True
                ),
                "Norms of the gradients. slope/mean: mean norm of the discriminator's gradient between real and "
                "generated images.",
            ),
            *(Group(plot_heat_map(run, prefix, name), side_by_side=False) for prefix, name in HEAT_MAPS.items()),
        ],
    }
    strength = {name: curve for name, curve in run.metrics.items() if name.startswith("augment/")}
    sections["Discriminator"].append(
        Group(
            plot_curves(run, "augmentation", strength, _own_panel),
            "p: probability of each transformation of the augmentation. r_t: mean sign of the scores of real images in "
            "training, which an adaptive p steers to its target.",
        )
    )
    if metrics:
        sections["Metrics"] = [
            Group(plot_curves(run, "metrics", metrics, _own_panel), "Measured during the run, on training images.")
        ]
    return sections


def _samples(run: RunHistory) -> tuple[bytes, str] | None:
    """Return the picture of the samples with its caption: the strip over time, or else the latest grid."""
    files = RunFolder(run.folder)
    if files.evolution_strip.is_file():
        return files.evolution_strip.read_bytes(), "Images of the same latents over time, the earliest at the top."
    grids = files.sample_grids()
    return (grids[-1].read_bytes(), "The latest grid. Its latents are the same throughout the run.") if grids else None


def _signals(run: RunHistory, *names: str) -> Curves:
    """Return the signals of these names that the run has."""
    return {name: run.signals[name] for name in names if name in run.signals}


def _player(name: str) -> str:
    """Return the player that a loss term belongs to, as the title of a panel."""
    return {"d": "discriminator", "g": "generator"}.get(name.split("/")[0], name)


def _panel(title: str) -> Callable[[str], str]:
    """Return a function that puts all curves into one panel."""
    return lambda name: title


def _own_panel(name: str) -> str:
    """Return the title of a panel that has this curve alone."""
    return name.removeprefix("metrics/")
