"""Entries of a cache that several processes share: one process makes an entry, the others wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.io.progress import step

POLL = 0.2
"""Seconds between two looks at a lock that another process holds."""


@contextmanager
def made_by_one(lock: Path, is_made: Callable[[], bool], what: str) -> Iterator[bool]:
    """Enter the block with True in the one process that makes an entry, and with False once another has made it.

    The lock is one of the operating system and ends with its process, however that ends; then the next process makes
    the entry. Where the file system has no locks, or the lock file belongs to another user, every process makes it.

    Args:
        lock: path of the lock file.
        is_made: function that returns whether the entry is there.
        what: what another process is doing, for the line that says what is waited for.
    """
    if is_made():
        yield False
        return
    held = _acquired(lock, what)
    try:
        yield not is_made()
    finally:
        if held is not None:
            held.release()


def _acquired(path: Path, what: str) -> FileLock | None:
    """Return a lock that this process holds, after waiting for it; None where there are no locks."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            with step(f"waiting for another process, which {what}"):
                lock.acquire(poll_interval=POLL)
    except (OSError, NotImplementedError):
        return None
    return lock
