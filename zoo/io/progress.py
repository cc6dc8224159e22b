"""Progress of long work: a bar on terminals, elsewhere a line for each step that takes longer than a few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock, Timer

FIRST = 3.0
"""Seconds after which a step that still goes on gets a line."""
AGAIN = 30.0
"""Seconds between further lines about the same step."""

Listener = Callable[[str, int, "int | None"], None]
"""Function that is told the name of a step, how much of it is done, and how much there is, None if that is unknown."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def progress_goes_to(listener: Listener) -> Iterator[None]:
    """Tell a listener of all steps in a block, which are then not shown otherwise."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def step(text: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show the progress of a step of long work.

    Args:
        text: name of the step.
        total: number of items of the step; None if it is unknown.

    Yields:
        Function to call with the number of items that were done since the last call.
    """
    listener = _listener.get()
    if listener is not None:
        yield _counted(text, total, listener)
    elif sys.stderr.isatty():
        with _bar(text, total) as advance:
            yield advance
    else:
        lines = LateLines()
        try:
            yield _counted(text, total, lines.tell)
        finally:
            lines.stop()


class LateLines:
    """Lines about steps that take long: one after `FIRST` seconds, and another every `AGAIN` seconds.

    A timer writes them, so that a step need not call anything to be shown.

    Args:
        write: function that shows a line; None writes to the standard error stream.
    """

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self.write = write or (lambda text: print(text, file=sys.stderr, flush=True))
        self._lock = Lock()
        self._timer: Timer | None = None
        self._text, self._done, self._total, self._began = "", 0, 0, 0.0

    def tell(self, text: str, done: int = 0, total: int | None = None) -> None:
        """Say what is going on; another text than before begins another step."""
        with self._lock:
            if text != self._text:
                self._text, self._began = text, time.monotonic()
                self._start(FIRST)
            self._done, self._total = done, total or 0

    def stop(self) -> None:
        """End the current step; it gets no further lines."""
        with self._lock:
            self._text = ""
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _start(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = Timer(seconds, self._show, [self._text])
        self._timer.daemon = True
        self._timer.start()

    def _show(self, text: str) -> None:
        with self._lock:
            if text != self._text:  # the step ended while the timer went off
                return
            passed = time.monotonic() - self._began
            counted = f": {self._done:,} of {self._total:,}" if self._total else f": {self._done:,}" * bool(self._done)
            left = passed * (self._total - self._done) / self._done if self._total and self._done else 0
            line = f"{text}{counted}, {passed:.0f} s so far" + (f", {duration_text(left)} left" if left >= 60 else "")
            self._start(AGAIN)
        self.write(line)


def duration_text(seconds: float) -> str:
    """Return a rough duration for the user, such as "about 12 minutes"."""
    if seconds < 60:
        return "less than a minute"
    amount, unit = (seconds / 3600, "hour") if seconds >= 2 * 3600 else (seconds / 60, "minute")
    return f"about {amount:.0f} {unit}{'' if round(amount) == 1 else 's'}"


def _counted(text: str, total: int | None, tell: Listener) -> Callable[[int], None]:
    """Return a function that adds up what is done of a step, after telling of its beginning."""
    done = 0
    tell(text, 0, total)

    def advance(n: int) -> None:
        nonlocal done
        done += n
        tell(text, done, total)

    return advance


@contextmanager
def _bar(text: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on the standard error stream, which disappears at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=total)
        yield lambda n: progress.advance(task, n)
