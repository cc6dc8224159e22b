"""One file from an address: resumed where it broke off, held against its digest, there as a whole or not at all."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from http.client import HTTPException, IncompleteRead
from pathlib import Path

from filelock import FileLock

from zoo.errors import ReleaseError, first_line
from zoo.io.files import cache_folder, sha256_of

ATTEMPTS = 5
TIMEOUT = 30  # seconds without an answer
BLOCK = 2**20


def fetch(address: str, sha256: str, largest: int = 2**34) -> Path:
    """The file with this digest, from the cache or from `address`.

    The cache is `releases` in `ZOO_CACHE`; files are named by their digest. A transfer that breaks off is taken up
    again, also by a later call.

    Args:
        address: where it is.
        sha256: its digest.
        largest: bytes after which a transfer is given up.

    Raises:
        ReleaseError: when it cannot be fetched, or is another file; that is then removed.
    """
    target = cache_folder() / "releases" / sha256 / "model.safetensors"
    if target.is_file() and sha256_of(target) == sha256:
        return target
    part = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):  # of several processes one fetches, the others wait
            if not (target.is_file() and sha256_of(target) == sha256):
                _transfer(address, part, largest)
                _accept(part, target, address, sha256)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, ReleaseError):
            raise
        raise ReleaseError(f"cannot fetch {address}: {first_line(error)}") from error
    return target


def _accept(part: Path, target: Path, address: str, sha256: str) -> None:
    """Give a complete file its name, or remove it.

    Raises:
        ReleaseError: when it is another file than was asked for.
    """
    found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise ReleaseError(
            f"{address} is not the file that was asked for: its sha256 is {found}, not {sha256}. It was removed"
        )
    os.replace(part, target)


def _transfer(address: str, part: Path, largest: int) -> None:
    """Fill `part`, from where it ends.

    Raises:
        OSError: when the last attempt fails too.
    """
    for attempt in range(1, ATTEMPTS + 1):
        had = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(address, headers={"Range": f"bytes={had}-"} if had else {})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                goes_on = answer.status == 206  # a server that knows no ranges sends all of it again
                expected = int(answer.headers.get("Content-Length") or 0)
                got = _copy(answer, part, "ab" if goes_on else "wb", largest)
            if not expected or got >= expected:
                return
            raise ConnectionError(f"it broke off after {got:,} of {expected:,} bytes")
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing is left to send
                return
            raise
        except (urllib.error.URLError, ConnectionError, TimeoutError, IncompleteRead):
            # an address that never answered is given up at once; one that sent something is asked again
            now = part.stat().st_size if part.exists() else 0
            if now == had or attempt == ATTEMPTS:
                raise


def _copy(answer: object, part: Path, mode: str, largest: int) -> int:
    """Copy an answer's body, and say how many bytes it had."""
    got = 0
    with open(part, mode) as file:
        while True:
            block = answer.read(BLOCK)  # type: ignore[attr-defined]
            if not block:
                return got
            got += len(block)
            if got > largest:
                raise OSError(f"it has more than {largest:,} bytes")
            file.write(block)
