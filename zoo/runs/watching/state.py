"""Everything that the page of a run shows, as plain values; the page and its refreshes use the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from zoo.config.values import flattened
from zoo.io.run_folder import RunFolder
from zoo.releases.disk_paths import disk_paths
from zoo.rendering.templating import render
from zoo.runs.history import SHOWN, RunHistory
from zoo.runs.verdict.evidence import has_alarms
from zoo.runs.verdict.verdict import verdict_of
from zoo.runs.watching.frames import Frames
from zoo.runs.watching.heat import heat_maps_of
from zoo.runs.watching.panels import as_values, panels_of
from zoo.runs.watching.status import TRAINING, status_of

TEMPLATES = Path(__file__).with_name("templates")
PARTS = ("status", "verdict", "alarms", "settings", "heat")
"""Parts of the page that are written here as HTML and replaced as a whole by a refresh."""
ENVIRONMENT = ("recipe", "started", "resumed_from", "threads", "git_commit", "python", "machine", "gpu", "packages")
"""Entries of the record of a start that the page shows; paths and the command line are left out."""


def title_of(run: RunHistory) -> str:
    """Return the title of the page: model, data, and the name of the run folder."""
    return f"{run.recipe['model']['class']} on {run.recipe['data']['class']}: {run.folder.resolve().name}"


def state_of(run: RunHistory, frames: Frames) -> dict[str, Any]:
    """Return what the page of a run shows, as plain values for JSON.

    Args:
        run: the records of the run.
        frames: its grids.
    """
    status = status_of(run)
    return {
        "title": title_of(run),
        "version": version_of(run.folder),
        "training": status.state == TRAINING,
        "length": max(run.images_seen, 1),
        "alarms": [
            {"images": int(event.get("images_seen", 0)), "name": str(event.get("alarm", "alarm"))}
            for event in run.events
        ],
        **frames.as_dict(),
        "panels": [as_values(panel) for panel in panels_of(run)],
        "parts": {part: _part(part, run) for part in PARTS},
    }


def version_of(folder: Path) -> str:
    """Return a text that changes when any record or grid of a run does."""
    files = RunFolder(folder)
    paths = [
        *(files.recipe, files.metrics_table, files.signals, files.events, files.progress, files.lock),
        *(files.real_grid, files.audit_report, *files.records(), *files.sample_grids()),
        *(*files.measured_in_training(), *files.all_evaluations(), *files.held_out_report_paths()),
    ]
    digest = hashlib.blake2b(digest_size=12)
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            continue
        digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _part(part: str, run: RunHistory) -> str:
    """Return a part of the page as HTML."""
    values: dict[str, Any] = {}
    if part == "status":
        values = {"status": status_of(run), "seed": run.recipe["seed"]}
    elif part == "verdict":
        values = {"verdict": verdict_of(run)}
    elif part == "alarms":
        values = {"has_alarms": has_alarms(run), "has_readings": bool(run.signals), "rows": alarm_rows(run)}
    elif part == "settings":
        values = {"settings": _settings(run.recipe), "environment": _environment(RunFolder(run.folder))}
    else:
        values = {"maps": heat_maps_of(run), "length": run.images_seen}
    return render(TEMPLATES / f"{part}.html", **values).strip()


def alarm_rows(run: RunHistory) -> list[list[Any]]:
    """Return one row for each alarm that was raised: its number, images seen, name, reason and action."""
    keys = ("images_seen", "alarm", "reason", "action")
    return [[number, *(event.get(key, "") for key in keys)] for number, event in enumerate(run.events, 1)]


def _settings(recipe: Mapping[str, Any]) -> list[list[str]]:
    """Return the settings of a run, one row each; of a path on the disk the last part alone."""
    flat = flattened({name: recipe[name] for name in (*SHOWN, "trainer") if recipe.get(name) is not None})
    return [[key, _plain(value)] for key, value in flat.items()]


def _environment(files: RunFolder) -> list[list[str]]:
    """Return what the record of the last start says about the machine and the versions, one row each."""
    starts = files.starts()
    if not starts:
        return []
    kept = {name: starts[-1][name] for name in ENVIRONMENT if starts[-1].get(name) is not None}
    return [["starts", f"{len(starts)}"], *([key, _plain(value)] for key, value in flattened(kept).items())]


def _plain(value: Any) -> str:
    """Return a setting as a text, and of a path on the disk the last part alone."""
    if isinstance(value, str) and value in disk_paths(value):
        return PurePath(value).name
    return "" if value is None else str(value)
