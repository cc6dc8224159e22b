"""A clock that tests move, and the number of torch's threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Watch:
    """A stand-in of the module `time` whose clock stands still until a test moves it."""

    now = 0.0

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.now


WATCH = Watch()


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Set the number of torch's threads in a block."""
    own = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(own)
