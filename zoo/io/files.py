"""Files: written whole or not at all, and told apart by their digest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Make a path to write to; what was written takes the place of `path` when the block ends without a fault.

    It lies in the same folder, which is made, with the same ending and this process's number. After a fault nothing of
    it is left, and what was at `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield scratch
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        OSError: when it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Lines of a JSON-lines file, without one that a kill cut short; none where there is no file."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def digest_of_values(*parts: object) -> str:
    """Hex digest (32 characters) of the parts' representations: one key for one combination of plain values."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def cache_folder() -> Path:
    """Where decoded sets are kept: `ZOO_CACHE`, or `zoo` in the user's cache folder."""
    chosen = os.environ.get("ZOO_CACHE")
    base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(chosen).expanduser() if chosen else Path(base).expanduser() / "zoo"
