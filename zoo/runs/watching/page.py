"""The page of a run as one file, with plots beside it, while the run trains and afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from zoo.io.files import atomic_write
from zoo.io.run_folder import watch_picture
from zoo.rendering import svg
from zoo.rendering.templating import render
from zoo.runs.history import RunHistory
from zoo.runs.watching.frames import embedded_frames, linked_frames
from zoo.runs.watching.plots import plots_of
from zoo.runs.watching.state import TEMPLATES, state_of


def write_page(run: RunHistory, path: Path, refresh: int = 0) -> None:
    """Write the page of a run, and with matplotlib each of its plots as a PNG into the folder `watch/` beside it.

    Args:
        run: the records of the run.
        path: path of the HTML file.
        refresh: seconds after which a browser loads the page again; 0 for never.
    """
    text = page_text(state_of(run, embedded_frames(run.folder)), refresh)
    with atomic_write(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
    for plot in plots_of(run) if svg.can_plot() else []:
        with atomic_write(watch_picture(path, plot.key)) as scratch:
            plot.figure.savefig(scratch, dpi=110, format="png", facecolor="white")


def live_state(run: RunHistory) -> dict[str, Any]:
    """Return what the page of a run shows where it is served: the grids are fetched one by one."""
    return state_of(run, linked_frames(run.folder))


def page_text(state: dict[str, Any], refresh: int = 0, poll: int = 0, home: str = "") -> str:
    """Return the text of the page.

    Args:
        state: what it shows, from `state_of`.
        refresh: seconds after which a browser loads the page again; 0 for never.
        poll: seconds after which the page asks its server for changes; 0 for never.
        home: address of the page of all runs; empty where there is none.
    """
    frames = state["frames"]
    newest = frames[-1]["source"] if frames else ""
    # The newest grid is in the page itself, so that it is shown at once, and is not repeated in the data.
    data = {**state, "poll": poll, "frames": [*frames[:-1], {**frames[-1], "source": ""}] if frames else []}
    return render(
        TEMPLATES / "run.html",
        title=state["title"],
        refresh=refresh,
        newest=newest,
        real=state["real"],
        home=home,
        parts={name: Markup(text) for name, text in state["parts"].items()},
        data=json_in_html({**data, "parts": {}}),
        colours=svg.LINES,
    )


def json_in_html(value: Any) -> Markup:
    """Return a value as JSON that can stand in a script element, which no text in it can end."""
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))
