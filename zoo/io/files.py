"""Atomic writing of files, their digests, JSON lines, and the cache folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import UserError


@contextmanager
def atomic_write(path: Path, sync: bool = False) -> Iterator[Path]:
    """Write a file completely or not at all.

    The context yields the path of a temporary file. When the block ends without an exception, that file is renamed to
    `path`. After an exception it is removed, and what was at `path` before is unchanged. The temporary file is in the
    same folder, which is created where it is missing, and has the same suffix; its name contains the process id.

    Args:
        path: the file to write.
        sync: flush the file to the disk before it is renamed, so that a crash of the machine leaves the old file or the
            complete new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        if sync:
            with open(scratch, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 digest of a file as 64 hexadecimal digits.

    Raises:
        OSError: if the file cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
    return digest.hexdigest()


def digest_of_values(*values: object) -> str:
    """Return a key for a combination of plain values: 32 hexadecimal digits, from the values' `repr`."""
    return hashlib.blake2b(repr(values).encode(), digest_size=16).hexdigest()


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file, up to the first line that is incomplete because the process was killed.

    A file that does not exist has no rows.
    """
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def cache_folder() -> Path:
    """Return the cache folder, which is created: `ZOO_CACHE` if it is set, otherwise `zoo` in the user's cache folder.

    Raises:
        UserError: if the user has no home folder, or the cache folder cannot be created.
    """
    chosen = os.environ.get("ZOO_CACHE")
    base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    try:
        folder = Path(chosen).expanduser() if chosen else Path(base).expanduser() / "zoo"
    except RuntimeError as error:  # no HOME, and no name for the user's number, as in some containers
        raise UserError(
            "there is no place for the cache: this user has no home folder. Set the environment variable ZOO_CACHE to "
            "a folder that you may write, such as ZOO_CACHE=/tmp/zoo"
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the cache folder {folder} cannot be created: {error.strerror or error}. Set the environment variable "
            "ZOO_CACHE to a folder that you may write, such as ZOO_CACHE=/tmp/zoo"
        ) from error
    return folder


def with_home(path: str | Path) -> Path:
    """Return a path with a home folder in place of `~` or `~NAME` at its beginning.

    Raises:
        UserError: if there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: there is no home folder for {Path(path).parts[0]}. Give the path in full") from error
