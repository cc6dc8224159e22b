"""The roll call of processes after the connection to one of them broke: which ones are gone, and on which machines."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import torch.distributed as dist

PATIENCE = 3.0
"""Seconds in which the processes that are left have to answer."""

OBSERVER = "child-process-observer"
"""Name of the thread by which Lightning watches the processes that it started."""
GRACE = 20.0
"""Seconds that the first process has to end by itself after another one died."""


def delay_observer(grace: float = GRACE) -> None:
    """Give this process time to say which other one is gone, before Lightning's observer kills it.

    The observer looks every five seconds, and kills all processes with SIGKILL when one of them has failed, whether or
    not the first is about to name the lost one, save and end.

    Args:
        grace: seconds between its finding and the kill; the process has usually ended by then.
    """
    for thread in threading.enumerate():
        kill = getattr(thread, "_terminate_all", None)
        if thread.name == OBSERVER and kill is not None:

            def later(kill: Callable[[], None] = kill) -> None:
                time.sleep(grace)
                kill()

            thread._terminate_all = later  # type: ignore[attr-defined]


class RollCall:
    """Signs of life in the store where the processes met, and the names of their machines.

    The store is held by the first process, or by a machine's `torchrun`. If that is gone nobody can be asked, and it is
    the first process that is missed.

    Args:
        rank: rank of this process.
        processes: number of processes.
        group: their group on the CPU.
    """

    def __init__(self, rank: int, processes: int, group: Any) -> None:
        self.rank, self.processes = rank, processes
        self._store = dist.distributed_c10d._get_default_store()
        self.hosts: list[str] = [""] * processes
        dist.all_gather_object(self.hosts, socket.gethostname(), group=group)

    def missing(self, patience: float = PATIENCE) -> list[int]:
        """Answer, and return the ranks that do not within `patience` seconds; for use when a connection broke.

        Over gloo this process closes its own connections, so that those who wait for it notice, and answer as well.
        """
        others = [rank for rank in range(self.processes) if rank != self.rank]
        try:
            self._store.set(_key(self.rank), "here")
            if dist.is_initialized() and dist.get_backend() == "gloo":  # nccl's may wait for the process that is gone
                with suppress(RuntimeError):
                    dist.destroy_process_group()
            until = time.monotonic() + patience
            while len(others) > 1 and time.monotonic() < until:
                time.sleep(0.05)
                others = [rank for rank in others if not self._store.check([_key(rank)])]
        except RuntimeError:  # the store is gone
            others = [0] if 0 in others else others
        return others

    def machines(self, ranks: Collection[int]) -> list[str]:
        """Return the names of the machines of some processes, each once."""
        return list(dict.fromkeys(self.hosts[rank] for rank in ranks))


def _key(rank: int) -> str:
    """Return the key under which a process answers."""
    return f"zoo/left/{rank}"
