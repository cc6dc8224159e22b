"""The recent speed of a run, without pauses."""

from __future__ import annotations

import time
from collections import deque
from statistics import median

WINDOW = 30.0
"""Seconds over which the speed is a mean, if that is more than two cycles of rounds."""
PAUSE, PAUSE_SHARE = 1.0, 10.0
"""A round is counted without the time before it if that makes it longer than so many seconds and so many medians."""


class RecentSpeed:
    """Images per second of the last half minute.

    A round is counted from the end of the one before it, so that waiting for images counts. Time between rounds in
    which something else was done, such as measuring the samples, is left out as a pause if it is long.
    """

    def __init__(self) -> None:
        self._rounds: deque[tuple[float, int]] = deque()  # seconds and images of each
        self._seconds, self._images = 0.0, 0
        self._began = self._ended = time.monotonic()
        self._stage: object = None

    @property
    def images_per_second(self) -> float:
        """The speed; 0 before the first round has ended."""
        return self._images / self._seconds if self._seconds > 0 else 0.0

    def begin(self) -> None:
        """Note that a round begins."""
        self._began = time.monotonic()

    def end(self, images: int, cycle: int = 1, stage: object = None) -> None:
        """Note that a round has ended.

        Args:
            images: images of the round.
            cycle: rounds until all players have moved.
            stage: what the cost of a round depends on; when it changes, the earlier rounds are forgotten.
        """
        now = time.monotonic()
        if stage != self._stage:
            self._rounds.clear()
            self._seconds, self._images, self._stage = 0.0, 0, stage
        seconds = now - self._ended
        if seconds > PAUSE and seconds > PAUSE_SHARE * self._usual():
            seconds = now - self._began
        self._ended = now
        self._rounds.append((seconds, images))
        self._seconds, self._images = self._seconds + seconds, self._images + images
        while len(self._rounds) > 2 * cycle and self._seconds - self._rounds[0][0] > WINDOW:
            seconds, images = self._rounds.popleft()
            self._seconds, self._images = self._seconds - seconds, self._images - images

    def _usual(self) -> float:
        """Return the median of the recent rounds; 0 if there are none, so that the first begins at its own start."""
        return median(seconds for seconds, _ in self._rounds) if self._rounds else 0.0
