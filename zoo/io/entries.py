"""Entries of a cache that several processes share: one process makes an entry, the others wait for it."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

from filelock import FileLock, Timeout

from zoo.errors import first_line
from zoo.io.progress import step

Result = TypeVar("Result")

POLL = 0.2
"""Seconds between two looks at a lock that another process holds."""
DAMAGE = (OSError, ValueError, EOFError, KeyError, TypeError, BadZipFile, zlib.error)
"""Errors of JSON, of NumPy and of zip archives for a file that a power cut has left empty or cut off."""


def read_entry(path: Path, read: Callable[[Path], Result]) -> Result | None:
    """Return what is read from a file of the cache; None if it is not there, or, with a note, if it is damaged.

    Args:
        path: the file.
        read: function that reads it.
    """
    if not path.exists():
        return None
    try:
        return read(path)
    except DAMAGE as error:
        print(f"note: {path} is damaged ({first_line(error)}) and is made again", file=sys.stderr)
        return None


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
