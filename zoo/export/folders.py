"""A new folder that is complete or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UserError


def check_free(folder: Path) -> None:
    """Check that a folder does not exist or is empty.

    Raises:
        UserError: if it is something else.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"out: {folder} exists and is not an empty folder. Choose a new one")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a scratch folder beside a folder, and put it in its place if the block ends without a fault.

    Args:
        folder: the folder, which must not exist or be empty.

    Raises:
        UserError: if it is something else.
    """
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        os.rename(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
