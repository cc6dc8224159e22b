"""Shards behind URLs: copied to the cache once, or read where they are by ranges of bytes."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from zoo.errors import DataError, DownloadError, first_line
from zoo.io.download import ATTEMPTS, TIMEOUT, fetch
from zoo.io.files import cache_folder, digest_of_values

CONNECTIONS = 16
"""Ranges that are asked for at once."""
GAP = 2**14
"""Bytes between two images that are read with them, since another request takes longer."""

FAULTS = (OSError, ValueError, HTTPException)


def is_url(place: str) -> bool:
    """Return whether a place is an address of the web."""
    return place.startswith(("http://", "https://"))


def copy_of(address: str) -> Path:
    """Return the path in the cache of the copy of a shard."""
    return cache_folder() / "shards" / digest_of_values(address) / address.rpartition("/")[2].partition("?")[0]


def copied(address: str) -> Path:
    """Return the copy of a shard in the cache, after fetching it if it is not there.

    Raises:
        DataError: if it cannot be fetched.
    """
    path = copy_of(address)
    try:
        return path if path.is_file() else fetch(address, path)
    except DownloadError as error:
        raise DataError(
            f"data.urls: {error}. Check the pattern and its range in a browser; a shard that is there in part goes on "
            "where it broke off"
        ) from error


def check_room(addresses: Sequence[str]) -> None:
    """Check that the copies that are missing fit the disk of the cache.

    Raises:
        DataError: if they do not, or a shard is not there.
    """
    missing = [address for address in addresses if not copy_of(address).is_file()]
    if not missing:
        return
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        needed = sum(threads.map(lambda address: size_of(address)[0], missing))
    folder = next(each for each in [cache_folder(), *cache_folder().parents] if each.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"data.urls: {len(missing):,} shards of {needed:,} bytes are copied to {cache_folder()}, where {free:,} "
            "are free. Set ZOO_CACHE to a folder on another disk, or data.copy=false, with which each image is read "
            "from the server when it is needed"
        )


def size_of(address: str) -> tuple[int, str]:
    """Return the size of a file on a server in bytes, and what changes when the file does; 0 for an unknown size.

    Raises:
        DataError: if it is not there.
    """
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=TIMEOUT) as answer:
            state = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            return int(answer.headers.get("Content-Length") or 0), state
    except FAULTS as error:
        raise DataError(
            f"data.urls: there is no answer for {address}: {first_line(error)}. Check the pattern and its range"
        ) from error


def read_ranges(address: str, offsets: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
    """Read parts of a file on a server, several at once.

    Args:
        address: URL of the file.
        offsets: position of each part in bytes, ascending.
        lengths: length of each part in bytes.

    Raises:
        OSError: if they cannot be read.
    """
    groups: list[list[int]] = []
    for i, offset in enumerate(offsets):
        if groups and offset - (offsets[groups[-1][-1]] + lengths[groups[-1][-1]]) <= GAP:
            groups[-1].append(i)
        else:
            groups.append([i])

    def read(group: list[int]) -> list[bytes]:
        first = offsets[group[0]]
        content = _read_range(address, first, offsets[group[-1]] + lengths[group[-1]] - first)
        return [content[offsets[i] - first : offsets[i] - first + lengths[i]] for i in group]

    with ThreadPoolExecutor(min(CONNECTIONS, len(groups))) as threads:
        return [content for part in threads.map(read, groups) for content in part]


def _read_range(address: str, offset: int, length: int) -> bytes:
    """Read one part of a file on a server, several times if the connection breaks.

    Raises:
        OSError: if it cannot be read, or the server gives whole files only.
    """
    request = urllib.request.Request(address, headers={"Range": f"bytes={offset}-{offset + length - 1}"})
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                if answer.status != 206:
                    raise DataError(
                        f"the server of {address} gives whole files only, no ranges of bytes. Leave data.copy=false "
                        "out, which copies the shards to the cache"
                    )
                content: bytes = answer.read()
            if len(content) == length:
                return content
            raise ConnectionError(f"it broke off after {len(content):,} of {length:,} bytes")
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == ATTEMPTS:
                raise OSError(f"{address}: {first_line(error)}") from error
        except (OSError, HTTPException) as error:
            if attempt == ATTEMPTS:
                raise OSError(f"{address}: {first_line(error)}") from error
        time.sleep(0.1 * 2**attempt)
    raise AssertionError  # the last attempt returns or raises
