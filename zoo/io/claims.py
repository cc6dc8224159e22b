"""Exclusive claims of run folders: at most one run at a time writes into a folder.

The claim is a lock of the operating system on the file `run.lock`, which ends with its process, however that ends. The
file says who holds it. Where the file system has no locks, the process named in the file counts, if it is alive.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.io.run_folder import RunFolder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_held: set[int] = set()


def _close_in_child() -> None:
    """Close the claims in a forked process, such as a loader's worker, which could outlive the run."""
    while _held:
        with suppress(OSError):
            os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold the claim of a run folder, which must exist, while the block runs.

    Raises:
        UserError: if another process holds the claim, or the folder cannot be written.
    """
    path = RunFolder(folder).lock
    try:
        descriptor = _acquire(path)
    except OSError as error:
        raise UserError(
            f"cannot write in the run folder {folder}: {error.strerror or error}. Choose a folder that you may write: "
            "out=FOLDER for a new run, or resume= with a copy of the run"
        ) from error
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:  # not in a forked process that leaves the block
            _held.discard(descriptor)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                os.close(descriptor)


def holder(folder: Path) -> str:
    """Return who trains in a run folder, such as "process 7 on HOST, since TIME"; empty for nobody.

    Only the file is read: a lock that is tried would be in the way of a run that begins.
    """
    owner = _owner(RunFolder(folder).lock)
    return _description(owner) if _is_alive(owner) else ""


def _acquire(path: Path) -> int:
    """Lock the file, write this process into it, and return its descriptor.

    Raises:
        UserError: if another process holds the lock.
        OSError: if the file cannot be written.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(descriptor, path):
                raise UserError(_in_use(path))
            if _is_at(path, descriptor):  # not removed, after it was opened here, by the process that held the lock
                owner = {"host": socket.gethostname(), "pid": os.getpid(), "time": _now()}
                os.ftruncate(descriptor, 0)
                os.write(descriptor, json.dumps(owner).encode() + b"\n")
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool:
    """Lock an open file without waiting; return whether this process has the lock now."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
    return not _is_alive(_owner(path))


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether the file at a path is the open one."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _is_alive(owner: dict[str, Any]) -> bool:
    """Return whether the process named in a lock file may still run; a process of another machine may."""
    if not owner:
        return False
    if owner.get("host") != socket.gethostname() or os.name == "nt":  # os.kill would end a process of Windows
        return True
    try:
        os.kill(int(owner["pid"]), 0)
    except PermissionError:
        return True
    except (OSError, KeyError, ValueError, TypeError):
        return False
    return True


def _owner(path: Path) -> dict[str, Any]:
    """Return what a lock file says about its process; empty if it says nothing."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _in_use(path: Path) -> str:
    """Return the message that names the process which holds the claim."""
    owner = _owner(path)
    process = _description(owner) if owner else "another process"
    return (
        f"{path.parent} is in use: {process}, trains in it. Wait for its end, stop it with Ctrl-C or SIGTERM, or "
        f"choose another out=FOLDER. If no such process is left, remove {path}"
    )


def _description(owner: dict[str, Any]) -> str:
    return f"process {owner.get('pid')} on {owner.get('host')}, since {owner.get('time')}"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
