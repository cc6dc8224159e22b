"""Results that a run can spare, as on a full disk: what is missing is said once; a cache without room is refused."""

from __future__ import annotations

import errno
import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lightning_utilities.core.rank_zero import rank_zero_warn

from zoo.errors import DataError

_said: set[tuple[str, str]] = set()


@contextmanager
def spared(what: str, where: Path) -> Iterator[None]:
    """Go on without a result that cannot be written, such as a picture, and say so once for each folder.

    Args:
        what: name of the result, such as "sample grids".
        where: file or folder that it is written to.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        # Lightning's logger for TensorBoard turns every exception into a ValueError.
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        key = what, str(where)
        if key not in _said:
            _said.add(key)
            reason = cause.strerror or str(cause)
            print(f"note: {what} cannot be written to {where}: {reason}. The run goes on without", file=sys.stderr)


class Missing:
    """Results of a run that could not be made, counted by cause. The first of each cause is warned of.

    Args:
        what: plural noun of the results, such as "measurements".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.attempts = 0  # number of results that there would be without faults; the caller counts them
        self.counts: Counter[str] = Counter()

    def add(self, text: str, cause: str) -> None:
        """Count a missing result, and warn if it is the first of its cause.

        Args:
            text: what is missing and why, and that training goes on, for the warning.
            cause: the reason, the same text for each result that is missing for it.
        """
        self.counts[cause] += 1
        if self.counts[cause] == 1:
            rank_zero_warn(f"{text}; {self.what} that are missing for the same reason are counted and said at the end")

    def say(self) -> None:
        """Warn how many results are missing, and why; say nothing if none is."""
        missing = sum(self.counts.values())
        if missing:
            causes = "; ".join(f"{count:,}: {cause}" for cause, count in self.counts.items())
            rank_zero_warn(f"{self.what} that are missing: {missing:,} of {self.attempts:,} ({causes})")


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder, or of the nearest folder above it that there is."""
    return shutil.disk_usage(next(each for each in (folder, *folder.absolute().parents) if each.is_dir())).free


def size_text(size: int) -> str:
    """Return a number of bytes for the user, such as "12.3 GB"."""
    unit = next((unit for unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")) if size >= unit[0]), (10**3, "kB"))
    return f"{size / unit[0]:,.1f} {unit[1]}"


def mapped_array(path: Path, shape: tuple[int, ...], dtype: Any) -> np.memmap[Any, Any]:
    """Create a memory-mapped array, in a file for which the disk has room.

    Without the check, writing to the map on a full disk would end the process with a bus error.

    Raises:
        DataError: if the disk has no room, naming path, size and remedy.
    """
    size, free = math.prod(shape) * np.dtype(dtype).itemsize, free_bytes(path.parent)
    if size > free:  # to try it would fill the disk for other processes
        raise no_room(path, size, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), free)
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
            with open(path, "rb+") as file:
                os.posix_fallocate(file.fileno(), 0, array.offset + size)
    except OSError as error:
        raise no_room(path, size, error, free) from error
    return array


def no_room(path: Path, size: int, error: OSError, free: int | None = None) -> DataError:
    """Return the error for a cache that cannot be written.

    Args:
        path: the file to write.
        size: its size in bytes.
        error: what the system said.
        free: bytes that were free before it was tried; None for those that are now.
    """
    free = free_bytes(path.parent) if free is None else free
    return DataError(
        f"the cache of decoded images cannot be written to {path.parent.parent}: {error.strerror or error}. It needs "
        f"{size:,} bytes, {free:,} are free. Make room, or set ZOO_CACHE to a folder on "
        "another disk (for one source of images: data.cache=FOLDER)"
    )
