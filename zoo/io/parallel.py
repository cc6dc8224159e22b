"""Work on many items by several threads, a few items at a time, so that memory does not grow with their number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
WAITING = 1024
"""Largest number of results that wait to be taken."""


def in_order(work: Callable[[int], Result], count: int, waiting: int = WAITING) -> Iterator[tuple[int, Result]]:
    """Yield index and result of each item in order, computed by as many threads as there are cores.

    Threads suffice for files and images, because reading and Pillow release the interpreter lock.

    Args:
        work: function from the index of an item to its result.
        count: number of items.
        waiting: largest number of results that wait to be taken.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for first in range(0, count, waiting):
            span = range(first, min(first + waiting, count))
            yield from zip(span, threads.map(work, span))
