"""Atomic writing of files, their digests, JSON lines, and the cache folder."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.io.scratch import scratch_mark


@contextmanager
def atomic_write(path: Path, sync: bool = False) -> Iterator[Path]:
    """Write a file completely or not at all.

    The context yields the path of a temporary file. When the block ends without an exception, that file is renamed to
    `path`. After an exception it is removed, and what was at `path` before is unchanged. The temporary file is in the
    same folder, which is created where it is missing, and has the same suffix. If the process is killed it stays, and
    `zoo.io.scratch.sweep` removes it.

    Args:
        path: the file to write.
        sync: flush the file to the disk before it is renamed, so that a crash of the machine leaves the old file or the
            complete new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{scratch_mark()}.{path.name}")
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
    return digest_of_text([repr(values)])


def digest_of_text(pieces: Iterable[str]) -> str:
    """Return the digest of a text that comes in pieces and is never in memory as a whole: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece.encode())
    return digest.hexdigest()


def printable(text: str) -> str:
    r"""Return a text that can be written as UTF-8: bytes of the name of a file that are none are escaped.

    Linux gives such names to Python with surrogates in them, for example those of an archive that was packed on another
    system and unpacked here.

    Example:
        >>> printable(b"K\xe4fer.png".decode("utf-8", "surrogateescape"))
        'K\\udce4fer.png'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class TupleDigest:
    """Digest of values that come one after another: that of `digest_of_values` of all of them, in little memory."""

    def __init__(self) -> None:
        self._digest, self._count = hashlib.blake2b(b"(", digest_size=16), 0

    def add(self, value: object) -> None:
        """Add a value."""
        self._digest.update(f"{', ' if self._count else ''}{value!r}".encode())
        self._count += 1

    def hexdigest(self) -> str:
        """Return the digest, 32 hexadecimal digits."""
        digest = self._digest.copy()
        digest.update(b",)" if self._count == 1 else b")")
        return digest.hexdigest()


def joined(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts with a comma and a space before each but the first, as they stand in the `repr` of a list."""
    first = True
    for text in texts:
        yield text if first else f", {text}"
        first = False


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows to a JSON-lines file, on a new line even if a killed process has left half a line at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        begin = "" if file.read(1) in (b"", b"\n") else "\n"
        file.write((begin + "".join(json.dumps(row) + "\n" for row in rows)).encode())


def read_jsonl(path: Path, say: bool = False) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file, without lines that a kill or a power cut has left incomplete.

    A file that does not exist has no rows.

    Args:
        path: the file.
        say: whether to print how many lines are left out.
    """
    if not path.is_file():
        return []
    rows, left_out = [], 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            left_out += 1
    if say and left_out:
        say_left_out(path, left_out)
    return rows


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the mapping in a JSON file; None, with a note, if a power cut has left something else. No file has {}."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    print(f"note: {path} is damaged ({path.stat().st_size:,} bytes) and is left out", file=sys.stderr)
    return None


def read_table(path: Path, key: str, say: bool = False) -> tuple[list[str], list[dict[str, str]]]:
    """Return columns and rows of a CSV file of numbers, without rows that a kill or a power cut has left incomplete.

    A file that does not exist, or has no column `key`, has no columns and no rows.

    Args:
        path: the file.
        key: name of the column that has a whole number in every row.
        say: whether to print how many rows are left out.
    """
    if not path.is_file():
        return [], []
    # newline="": rows end in "\r\n". A last row without it was cut, and so may be its last number.
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        first, *lines = file.read().splitlines(keepends=True) or [""]
    columns = next(csv.reader([first])) if "\0" not in first else []
    rows = [dict(zip(columns, fields)) for line in lines if (fields := _fields(line, len(columns)))]
    if key not in columns:
        if say:
            print(f"note: {path} holds no table ({path.stat().st_size:,} bytes): a new one begins", file=sys.stderr)
        return [], []
    whole = [row for row in rows if row[key].isdecimal()]
    if say and len(whole) < len(lines):
        say_left_out(path, len(lines) - len(whole))
    return columns, whole


def _fields(line: str, count: int) -> list[str]:
    """Return the fields of a line of a table of numbers; none if it is incomplete or holds anything else."""
    if "\0" in line or not line.endswith("\n"):
        return []
    fields = next(csv.reader([line]))
    try:
        [float(field) for field in fields if field]
    except ValueError:
        return []
    return fields if len(fields) == count else []


def say_left_out(path: Path, lines: int) -> None:
    """Print that unreadable lines of a file are left out."""
    what = "a line" if lines == 1 else f"{lines} lines"
    print(f"note: {path}: {what} that cannot be read, as a kill or a power cut leaves them: left out", file=sys.stderr)


def cache_folder(given: str = "") -> Path:
    """Return the cache folder, which is created.

    Args:
        given: the folder that a setting `data.cache` names; empty for `ZOO_CACHE` if that is set, otherwise `zoo` in
            the user's cache folder.

    Raises:
        UserError: if the user has no home folder, or the cache folder cannot be created.
    """
    if given:
        return _given_cache(given)
    chosen = os.environ.get("ZOO_CACHE")
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # by the XDG specification: unset, empty and relative paths mean the default
        base = "~/.cache"
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


def _given_cache(given: str) -> Path:
    """Return the cache folder that `data.cache` names, which is created.

    Raises:
        UserError: if it cannot be created.
    """
    folder = with_home(given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"data.cache={given}: the cache folder cannot be created: {error.strerror or error}. Give a folder that "
            "you may write, or leave data.cache out"
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
