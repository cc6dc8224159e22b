"""Watch a run: the work of `python -m zoo.watch`."""

from __future__ import annotations

import os
import time
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

from zoo.errors import UserError
from zoo.io.files import atomic_write, with_home
from zoo.io.group_folder import GroupFolder
from zoo.io.run_folder import RunFolder
from zoo.runs.history import RunHistory, read_run
from zoo.runs.locating import split_named
from zoo.runs.watching.page import write_page
from zoo.runs.watching.server import Server
from zoo.runs.watching.several import folders_of, several_text

POLL = 5
"""Seconds between two refreshes of a page that is served."""
LARGEST_PORT = 65535


def watch(
    run: str | list[str],
    out: str = "",
    every: int = 0,
    serve: bool = False,
    live: bool = False,
    port: int = 0,
) -> Path:
    """Show a run on a page: its samples over time, how good they are, what to try next, curves, alarms, signals.

    The page is written as one self-contained HTML file, or served on this machine and kept up to date in the browser.

    Args:
        run: folder of a run, live or finished; or several, joined by commas, or the folder of a group, for a page that
            compares them and links to the page of each.
        out: the HTML file; empty for watch.html in the run's folder. With matplotlib, the plots of a run are also
            written to watch/*.png beside it.
        every: seconds after which the page is written again, until the run has ended; 0 writes it once. Open pages
            reload themselves. For a page that is served, seconds between two refreshes; 0 for 5.
        serve: whether to serve the page on 127.0.0.1 until Ctrl-C. It refreshes itself, and nothing is written.
        live: another name for `serve`.
        port: port to serve at; 0 for a free one.

    Returns:
        The path of the page; of a page that was served, the folder of the run.

    Raises:
        UserError: when there is no run, the file cannot be written, or the port is taken.

    Examples:
        python -m zoo.watch run=runs/dcgan_digits/TIME
        python -m zoo.watch run=runs/dcgan_digits/TIME serve=true
        python -m zoo.watch run=runs/dcgan_digits/TIME every=30
        python -m zoo.watch run=runs/dcgan_digits/TIME,runs/wgan_gp_digits/TIME serve=true
    """
    serve = serve or live
    _check(out, every, serve, port)
    places = [with_home(each.strip()) for each in (split_named(run) if isinstance(run, str) else run)]
    for place in places:
        if not place.is_dir():
            raise UserError(f"run: there is no folder {place}")
    is_one = len(places) == 1 and not GroupFolder(places[0]).is_group
    folders = places if is_one else folders_of(places)
    if serve:
        return _serve(folders, every or POLL, port)
    path = with_home(out) if out else _default_page(places)
    try:
        return _write_one(folders[0], path, every) if is_one else _write_several(folders, path, every)
    except OSError as error:
        raise UserError(f"out: cannot write {path}: {error.strerror or error}") from error


@wraps(watch)
def main(**options: Any) -> None:
    """Run `watch` and print the path of the page."""
    path = watch(**options)
    if not (options.get("serve") or options.get("live")):
        print(f"page: {path}")


def _check(out: str, every: int, serve: bool, port: int) -> None:
    """Check the options against each other.

    Raises:
        UserError: for one that is out of range, or has no use.
    """
    if every < 0:
        raise UserError(f"every: seconds, 0 for once; got {every}")
    if out and not out.endswith(".html"):
        raise UserError(f"out: a file ending in .html; got {out!r}")
    if not 0 <= port <= LARGEST_PORT:
        raise UserError(f"port: a number from 1 to {LARGEST_PORT}, or 0 for a free one; got {port}")
    if out and serve:
        raise UserError(f"out: got {out!r} beside serve=true, which writes no file. Leave out one of them")
    if port and not serve:
        raise UserError(f"port: got {port} without serve=true. Add serve=true to serve the page")


def _default_page(places: list[Path]) -> Path:
    """Return where the page is written if `out` does not say.

    Raises:
        UserError: for several runs, which have no common folder.
    """
    if len(places) > 1:
        raise UserError("out: the page of several runs needs a file, such as out=runs.html; or serve=true")
    return RunFolder(places[0]).watch_page


def _write_one(folder: Path, path: Path, every: int) -> Path:
    """Write the page of a run, again and again until it has ended if `every` is not 0."""
    while True:
        history = read_run(folder)
        write_page(history, path, refresh=0 if history.ended else every)
        if not every or history.ended:
            return path
        time.sleep(every)


def _write_several(folders: list[Path], path: Path, every: int) -> Path:
    """Write the page of several runs, and the page of each into its folder, until all have ended."""
    pages = [RunFolder(folder).watch_page for folder in folders]
    ways = [Path(os.path.relpath(page.resolve(), path.resolve().parent)).as_posix() for page in pages]
    addresses = [quote(way, safe="/=,") for way in ways]  # a folder may have #, ? or % in its name
    while True:
        histories: list[RunHistory] = [read_run(folder) for folder in folders]
        ended = all(history.ended for history in histories)
        refresh = 0 if ended else every
        for history, page in zip(histories, pages):
            write_page(history, page, refresh)
        with atomic_write(path) as scratch:
            scratch.write_text(several_text(folders, addresses, refresh), encoding="utf-8")
        if not every or ended:
            return path
        time.sleep(every)


def _serve(folders: list[Path], poll: int, port: int) -> Path:
    """Serve the pages until Ctrl-C."""
    for folder in folders:
        read_run(folder)  # a folder that is no run is refused before the server begins
    with Server(folders, port, poll) as server:
        what = "the run" if len(folders) == 1 else f"{len(folders)} runs"
        print(f"watching {what} at {server.address} (Ctrl-C to end)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return folders[0]
