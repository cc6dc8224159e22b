"""Choose, create and claim the folder of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from zoo.errors import UserError, shell_word
from zoo.io.claims import claim
from zoo.io.group_folder import GroupFolder
from zoo.io.run_folder import checkpoints_in


def default_folder(recipe_name: str) -> Path:
    """Return `runs/RECIPE/TIME`; of several processes, the folder of rank 0 is used by all."""
    return Path("runs") / recipe_name / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def refuse_folder_of_run(folder: Path) -> None:
    """Check that a folder may be that of a new run.

    Raises:
        UserError: if it has checkpoints, or is that of a group.
    """
    what = "a run" if checkpoints_in(folder) else "a group of runs" if GroupFolder(folder).is_group else ""
    if what:
        raise UserError(
            f"{folder} already holds {what}; resume={shell_word(folder)} goes on with it, or choose another out=FOLDER"
        )


@contextmanager
def claimed_folder(folder: Path, is_default: bool) -> Iterator[Path]:
    """Create a run folder and hold the claim of it while the block runs. A folder that stays empty is removed again.

    Args:
        folder: the run folder.
        is_default: whether it has a default name, which gets a suffix (`-2`, `-3`, ...) if it is taken.

    Yields:
        The folder.

    Raises:
        UserError: if another process trains in the folder, or it cannot be written.
    """
    try:
        folder, is_new = _create_default(folder) if is_default else (folder, not folder.exists())
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}") from error
    try:
        with claim(folder):
            yield folder
    finally:
        if is_new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def _create_default(folder: Path) -> tuple[Path, bool]:
    """Create a folder that did not exist before: the given one, or the first with a suffix; return it and True."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            break
    return path, True
