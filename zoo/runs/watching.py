"""Watch a run: the work of `python -m zoo.watch`."""

from __future__ import annotations

import time
from functools import wraps
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.io.files import with_home
from zoo.io.run_folder import RunFolder
from zoo.rendering.svg import can_plot
from zoo.runs.history import read_run
from zoo.runs.page import write_page


def watch(run: str, out: str = "", every: int = 0) -> Path:
    """Write one self-contained HTML page of a run: losses, scores, signals, alarms, metrics, samples.

    Args:
        run: folder of a run, live or finished.
        out: the HTML file; empty for watch.html in the run's folder. The plots are written to watch/*.png beside it.
        every: seconds after which the page is written again, until the run has ended; 0 writes it once. Open pages
            reload themselves.

    Returns:
        The path of the page.

    Raises:
        UserError: when there is no run, or matplotlib is missing.

    Examples:
        python -m zoo.watch run=runs/dcgan_digits/TIME
        python -m zoo.watch run=runs/dcgan_digits/TIME every=30
    """
    if every < 0:
        raise UserError(f"every: seconds, 0 for once; got {every}")
    if out and not out.endswith(".html"):
        raise UserError(f"out: a file ending in .html; got {out!r}")
    folder = with_home(run)
    if not folder.is_dir():
        raise UserError(f"run: there is no folder {folder}")
    if not can_plot():
        raise UserError('zoo.watch draws with matplotlib, which is not installed: pip install ".[metrics]"')
    path = with_home(out) if out else RunFolder(folder).watch_page
    try:
        while True:
            history = read_run(folder)
            write_page(history, path, refresh=0 if history.ended else every)
            if not every or history.ended:
                return path
            time.sleep(every)
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}") from error


@wraps(watch)
def main(**options: Any) -> None:
    """Run `watch` and print the path of the page."""
    print(f"page: {watch(**options)}")
