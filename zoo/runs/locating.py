"""Decide what a user names: a run folder, a checkpoint or a release. All commands and functions use these rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from zoo.errors import CheckpointError, did_you_mean, shell_word
from zoo.io.claims import holder
from zoo.io.files import with_home
from zoo.io.group_folder import group_hint
from zoo.io.run_folder import BEST, CHECKPOINT_SUFFIX, CHECKPOINTS, RunFolder
from zoo.releases.file_names import CONFIG
from zoo.releases.references import Reference, is_path, parse_reference, release_names

PREFIXES = ("zoo:", "hf:", "https://", "http://")
"""A text with one of these prefixes names a release, even if there is a file with that name."""


def locate(where: str | Path) -> RunFolder | Path | Reference:
    """Decide what a text names: a run folder, the file of a checkpoint, or a release.

    A folder with a `config.json` and without checkpoints is a release, any other folder a run. A file ending in
    .safetensors is a release, any other file a checkpoint. A text that is no existing path may be the name of a release
    of this library, `zoo:NAME`, `hf:ORG/NAME`, or `https://...#sha256=...`. A repository of the hub needs the prefix
    `hf:`, so that a mistyped path is not sent over the network.

    Args:
        where: the text; a `Path` is always a path.

    Returns:
        The run folder, the checkpoint's path, or the release, which may still be missing or damaged.

    Raises:
        CheckpointError: if there is nothing with that name.
    """
    if isinstance(where, str) and where.startswith(PREFIXES):
        return parse_reference(where)
    path = with_home(where)
    if path.suffix == ".safetensors":
        return Reference("path", str(path))
    if path.is_file():
        return path
    if path.is_dir():
        run = RunFolder(path)
        return Reference("path", str(path)) if (path / CONFIG).is_file() and not run.checkpoints() else run
    if isinstance(where, Path) or is_path(where):
        raise CheckpointError(f"there is no run folder or checkpoint {path}")
    if where in release_names():
        return parse_reference(where)
    raise CheckpointError(
        f"there is no run folder or checkpoint {path}, nor a release of that name."
        f"{did_you_mean(where, release_names())} A repository of the hub is hf:ORG/NAME"
    )


def check_named(checkpoint: str | None = None, **options: Any) -> None:
    """Check that there is what a command line names with `checkpoint=`, before torch is imported.

    Args:
        checkpoint: run folder, checkpoint file or release; None for a command that is given folders of images.
        options: the other options of the command, which are not looked at.

    Raises:
        CheckpointError: if there is nothing with that name.
    """
    if checkpoint is not None:
        locate(checkpoint)


def check_each_named(checkpoint: str, **options: Any) -> None:
    """Check that there are the checkpoints that a command line names with `checkpoint=A,B`; see `check_named`."""
    for where in split_named(checkpoint):
        locate(where)


def split_named(where: str) -> list[str]:
    """Return the runs, checkpoints and releases that a text names, joined by commas.

    The folders of a grid have commas in their names, so the longest text between commas that is an existing path is one
    name.
    """
    parts, found = where.split(","), []
    while parts:
        lengths = range(len(parts), 0, -1)
        taken = next((n for n in lengths if with_home(",".join(parts[:n]).strip()).exists()), 1)
        found.append(",".join(parts[:taken]).strip())
        parts = parts[taken:]
    return [each for each in found if each] or [where]


def checkpoint_of(where: str | Path) -> Path:
    """Return the newest checkpoint of a run folder, or a checkpoint file itself.

    Args:
        where: path of the folder or the file.

    Raises:
        CheckpointError: if there is none, or the path is that of a release.
    """
    location = locate(Path(where))
    if isinstance(location, Reference):
        raise CheckpointError(f"{location.name} is a release, not a run: zoo.from_pretrained loads it")
    return newest_checkpoint(location)


def newest_checkpoint(location: RunFolder | Path) -> Path:
    """Return the newest checkpoint of a run folder, or a checkpoint file itself.

    Raises:
        CheckpointError: if the run folder has no checkpoints.
    """
    if isinstance(location, Path):
        return location
    checkpoints = location.checkpoints()
    if checkpoints:
        return checkpoints[0]
    if hint := group_hint(location.path):
        raise CheckpointError(hint)
    if process := holder(location.path):
        raise CheckpointError(
            f"{location.path} has no checkpoint yet: {process}, trains in it right now. Wait for its first one, or "
            "stop the run with Ctrl-C or SIGTERM, which saves one"
        )
    again = (
        f". To train anew: python -m zoo.fit recipe={shell_word(location.recipe)}" if location.recipe.is_file() else ""
    )
    raise CheckpointError(
        f"{location.path} has no checkpoints; a run folder keeps them in {CHECKPOINTS}/*{CHECKPOINT_SUFFIX}{again}"
    )


def best_checkpoint(where: str | Path) -> Path:
    """Return the best checkpoint of a run folder.

    Raises:
        CheckpointError: if there is no run folder, or it has no best checkpoint.
    """
    location = locate(where)
    checkpoints = location.best_checkpoints() if isinstance(location, RunFolder) else []
    if not checkpoints:
        if isinstance(location, RunFolder) and (hint := group_hint(location.path)):
            raise CheckpointError(hint)
        process = holder(location.path) if isinstance(location, RunFolder) else ""
        yet = f" yet, and {process}, trains in it right now" if process else ""
        raise CheckpointError(
            f"{where} keeps no best checkpoint ({BEST}/*{CHECKPOINT_SUFFIX}){yet}; SampleMetrics with `select` writes "
            "one. Leave out best=true for the last"
        )
    return checkpoints[-1]


def report_name(where: str) -> str:
    """Return a name for the report on a run, a checkpoint or a release, which is also valid as the name of a folder."""
    last = where.split("#")[0].rstrip("/").rpartition("/")[2].rpartition(":")[2]
    stem = last.removesuffix(".safetensors").removesuffix(CHECKPOINT_SUFFIX)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-") or "audit"
