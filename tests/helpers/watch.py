"""A clock that tests move."""

from __future__ import annotations


class Watch:
    """A stand-in of the module `time` whose clock stands still until a test moves it."""

    now = 0.0

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.now


WATCH = Watch()
