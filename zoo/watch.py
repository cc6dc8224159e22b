"""`python -m zoo.watch run=FOLDER`: look at a run, live or finished."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.io.run_folder import RunFolder
from zoo.rendering.pictures import can_plot
from zoo.runs.history import read_run
from zoo.runs.page import write_page


def watch(run: str, out: str = "", every: int = 0) -> Path:
    """Write the page of a run.

    Args:
        run: its folder.
        out: the HTML file; empty for `watch.html` in the run's folder.
        every: seconds after which the page is written again, until the run has ended; 0 writes it once.

    Raises:
        UserError: when there is no run, or nothing to draw with.
    """
    if not can_plot():
        raise UserError('zoo.watch draws with matplotlib, which is not installed: pip install ".[metrics]"')
    if every < 0:
        raise UserError(f"every: seconds, 0 for once; got {every}")
    if out and not out.endswith(".html"):
        raise UserError(f"out: a file ending in .html; got {out!r}")
    if not Path(run).is_dir():
        raise UserError(f"run: there is no folder {run}")
    path = Path(out) if out else RunFolder(Path(run)).watch_page
    try:
        while True:
            found = read_run(Path(run))
            write_page(found, path, refresh=0 if found.ended else every)
            if not every or found.ended:
                return path
            time.sleep(every)
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}") from error


def main(**words: Any) -> int:
    """Write one self-contained HTML page of a run: losses, scores, signals, alarms, metrics, samples.

    run=FOLDER    of a run, live or finished
    out=FILE      instead of FOLDER/watch.html; pictures go to watch/*.png beside it
    every=30      write it again every so many seconds while the run goes on; open pages reload themselves
    """
    path = watch(**checked_arguments(watch, words))
    print(f"page: {path}")
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # the way to end every=SECONDS
        run_command("watch", main)
