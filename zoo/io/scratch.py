"""Names of temporary files and folders, and removal of those that killed processes have left.

The name of a temporary file holds the number of its process and a digest of the machine's name, so that another process
can tell whether it is still being written: `.4711-0a1b2c3d.model.safetensors`.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

MARK = re.compile(
    r"^(?:\.|decoding-)(?:(?P<process>\d+)(?:-(?P<machine>[0-9a-f]{8}))?[.-]|(?<=decoding-)[a-z0-9_]{8}$)"
)
"""Names of temporary files; version 0.1.0 wrote `.PROCESS.NAME`, and folders `decoding-RANDOM`."""
DAY = 86_400.0
MINUTE = 60.0


def scratch_mark() -> str:
    """Return the mark of this process in the names of its temporary files: number and digest of the machine's name."""
    return f"{os.getpid()}-{blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()}"


def sweep(folder: Path, pattern: str = "*", *, deep: bool = True) -> None:
    """Remove temporary files and folders whose process is gone.

    Of a process on another machine, or one without a number, they are removed a day after the last change.

    Args:
        folder: the folder to search.
        pattern: pattern of the names that are considered.
        deep: whether to search its subfolders too.
    """
    found: Iterable[Path] = folder.rglob(pattern) if deep else folder.glob(pattern)
    for path in [each for each in found if MARK.match(each.name)]:
        try:
            if not _is_abandoned(path):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        except OSError:  # removed by another process, or not ours: the next start tries again
            continue


def _is_abandoned(path: Path) -> bool:
    match = MARK.match(path.name)
    assert match is not None
    age: float = time.time() - max(each.stat().st_mtime for each in (path, *(path.iterdir() if path.is_dir() else ())))
    process, machine = match["process"], match["machine"]
    if process is None or machine not in (None, scratch_mark().rpartition("-")[2]):
        return age > DAY
    if int(process) == os.getpid():  # an earlier process of this number, as the first ones of a container have
        return age > MINUTE
    return not _is_running(int(process))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it runs under another user
        return True
    return True
