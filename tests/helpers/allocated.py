"""The memory that torch allocates while something is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def most_allocated(compute: Callable[[], Any]) -> int:
    """Return the largest number of bytes that torch held on the CPU at once, beyond those that it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        compute()
    assert found.profiler is not None
    events = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
    assert events
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most
