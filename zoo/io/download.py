"""Downloads of single files: verified against a digest, resumed where a transfer broke off, complete or not at all."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from rich.console import Console
from rich.progress import wrap_file

from zoo.errors import DownloadError, first_line
from zoo.io.files import cache_folder, sha256_of

ATTEMPTS = 5
TIMEOUT = 30  # seconds without an answer
BLOCK = 2**20  # bytes read at once
LARGEST = 2**34  # bytes after which a transfer is given up


def download(address: str, path: Path, sha256: str) -> Path:
    """Return `path`, after downloading the file from an address unless it is already there with the right digest.

    An interrupted transfer is resumed, also by a later call. If several processes need the same file, one downloads it
    and the others wait.

    Args:
        address: URL of the file.
        path: where to write the file; until it is complete and verified, its content is in `path` with the suffix
            `.part`.
        sha256: digest of the file, 64 hexadecimal digits; or its first digits, of which PyTorch's file names hold 8.

    Raises:
        DownloadError: if the file cannot be downloaded, or has another digest; it is then removed.
    """
    if _is_complete(path, sha256):
        return path
    part = path.with_suffix(".part")
    lock = cache_folder() / "locks" / f"{sha256}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            if not _is_complete(path, sha256):
                print(f"downloading {address} to {path.parent}", file=sys.stderr)
                _transfer(address, part)
                _accept(part, path, sha256)
    except (OSError, ValueError, HTTPException) as error:
        raise DownloadError(f"cannot fetch {address}: {first_line(error)}") from error
    return path


def fetch(address: str, path: Path) -> Path:
    """Download a file of which no digest is known to `path`, and return it; a file that is there stays as it is.

    An interrupted transfer is resumed, and several processes share one, as in `download`.

    Args:
        address: URL of the file.
        path: where to write the file; until it is complete, its content is in `path` with the suffix `.part`.

    Raises:
        DownloadError: if it cannot be downloaded.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.is_file():
                _transfer(address, part)
                os.replace(part, path)
    except (OSError, ValueError, HTTPException) as error:
        raise DownloadError(f"cannot fetch {address}: {first_line(error)}") from error
    return path


def _is_complete(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path).startswith(sha256)


def _accept(part: Path, path: Path, sha256: str) -> None:
    """Rename a downloaded file to `path`, or remove it if its digest is wrong.

    Raises:
        ValueError: if the digest is wrong.
    """
    digest = sha256_of(part)
    if not digest.startswith(sha256):
        part.unlink()
        raise ValueError(
            f"what the server sent is not the file that was asked for: its sha256 is {digest}, not {sha256}. It was "
            "removed"
        )
    os.replace(part, path)


def _transfer(address: str, part: Path) -> None:
    """Download into `part`, continuing after the bytes that are already there.

    Raises:
        OSError: if the last attempt fails too.
    """
    for attempt in range(1, ATTEMPTS + 1):
        size_before = _size_of(part)
        headers = {"Range": f"bytes={size_before}-"} if size_before else {}
        request = urllib.request.Request(address, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                is_continued = response.status == 206  # a server without support for ranges sends the complete file
                expected = int(response.headers.get("Content-Length") or 0)
                with wrap_file(
                    response, expected, console=Console(stderr=True), disable=not sys.stderr.isatty()
                ) as body:
                    received = _copy(body, part, "ab" if is_continued else "wb")
            if not expected or received >= expected:
                return
            raise ConnectionError(f"it broke off after {received:,} of {expected:,} bytes")
        except urllib.error.HTTPError as error:
            if error.code == 416:  # range not satisfiable: nothing is left to send
                return
            raise
        except (urllib.error.URLError, ConnectionError, TimeoutError, IncompleteRead):
            # A server that sent nothing is not asked again; one that sent something is.
            if _size_of(part) == size_before or attempt == ATTEMPTS:
                raise


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _copy(body: BinaryIO, part: Path, mode: str) -> int:
    """Write the body of a response into a file and return the number of bytes received.

    Raises:
        OSError: if the body is larger than `LARGEST`.
    """
    received = 0
    with open(part, mode) as file:
        while True:
            block = body.read(BLOCK)
            if not block:
                return received
            received += len(block)
            if received > LARGEST:
                raise OSError(f"it has more than {LARGEST:,} bytes")
            file.write(block)
