"""Lightning's observer of processes leaves the first one time to say which other one is gone."""

from __future__ import annotations

import signal
import subprocess
import time

from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver

from zoo.training.roll_call import OBSERVER, delay_observer


def test_the_first_process_is_killed_after_the_grace_and_not_before() -> None:
    first, failed = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["false"])
    try:
        assert failed.wait(10) == 1
        observer = _ChildProcessObserver(first.pid, [failed], sleep_period=0.2)  # type: ignore[arg-type]
        assert observer.name == OBSERVER  # by which it is found
        observer.start()
        delay_observer(grace=1.0)
        time.sleep(0.6)  # it has looked twice by now
        assert first.poll() is None
        assert first.wait(20) == -signal.SIGKILL  # a process that hangs in a collective is ended all the same
    finally:
        first.kill()
