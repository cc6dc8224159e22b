"""Choice of the number of torch's threads within a long loop of equal steps on the CPU.

The threads of OpenMP wait for each other at every layer, so beside other work on the same cores one thread is often
many times as fast as two, see `zoo.runs.threads`, where the same is decided for a training before it begins.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

SHORT = 60.0
"""Seconds of a loop, or of a run, below which no other number of threads is tried."""
CLEARLY = 1.05
"""How many times as fast as torch's own number another one must be to be taken."""


@contextmanager
def threads_of(number: int) -> Iterator[None]:
    """Set the number of torch's threads in a block."""
    own = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(own)


def candidates(own: int) -> list[int]:
    """Return torch's own number of threads, then the powers of two below it, the largest first."""
    return [own, *(2**i for i in reversed(range(own.bit_length())) if 2**i < own)]


def fastest(seconds: dict[int, float], own: int) -> int:
    """Return the number of threads with the fewest seconds, or torch's own if none is clearly faster."""
    best = min(seconds, key=lambda threads: seconds[threads])
    return own if seconds[own] < CLEARLY * seconds[best] else best


class ThreadsOfLoop:
    """A context in which the first steps of a loop take turns with different numbers of threads.

    Each number has two steps in a row, the first of which warms up; then the fastest number stays. After the steps of
    torch's own number it is known how long the loop takes: if less than `SHORT`, nothing else is tried. torch's own
    number is restored at the end. Passes of networks without gradients have the same bits with any number of threads
    on the processors that were tried.

    Args:
        steps: number of steps of the loop; None, if it is unknown, tries nothing.
        device: device of the computation; only on a CPU are other numbers tried.
    """

    def __init__(self, steps: int | None, device: torch.device | None) -> None:
        self.steps, self.own = steps, torch.get_num_threads()
        tries = steps is not None and (device is None or device.type == "cpu")
        self.queue = [n for n in candidates(self.own) for _ in range(2)] if tries and self.own > 1 else []
        self.seconds: dict[int, float] = {}

    def __enter__(self) -> ThreadsOfLoop:
        self.began = time.monotonic()
        return self

    def __exit__(self, *error: Any) -> None:
        torch.set_num_threads(self.own)

    def stepped(self) -> None:
        """Note that a step has ended, and set the number of threads of the next."""
        if not self.queue:
            return
        now = time.monotonic()
        self.seconds[self.queue.pop(0)], self.began = now - self.began, now  # the second step replaces the first
        if len(self.seconds) == 1 and (self.steps or 0) * self.seconds[self.own] < SHORT:
            self.queue.clear()
        torch.set_num_threads(self.queue[0] if self.queue else fastest(self.seconds, self.own))
