"""A program that has imported what the commands import, and starts each process of a test as a fork of itself.

    python -m tests.helpers.fork_server SOCKET

`tests/helpers/processes.py` starts it and sends it requests. It never computes anything: torch and OpenMP start their
threads at the first computation, and a fork has none of them. Linux only.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NoReturn

PRELOADED = (
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "pytorch_lightning",
    "sklearn.datasets",
    "tensorboard.compat.proto.event_pb2",
    "torch.distributed.run",
    "torch.utils.tensorboard",
    "zoo.audit",
    "zoo.callbacks",
    "zoo.data",
    "zoo.features",
    "zoo.metrics",
    "zoo.models",
    "zoo.runs.drawing",
    "zoo.runs.fitting",
    "zoo.runs.run",
)
"""Modules that are imported once, in the server, with all that they import."""
DESCRIPTORS = 5
"""Number of file descriptors of a request: the request itself, standard input, output and error, and the report."""


def main(control: socket.socket) -> None:
    """Import, then serve until the other end closes; return in a fork, after which it runs its program."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector of a fork does not visit, and so copy, what lies here
    request = serve(control)
    if request is not None:
        end(run, request)
    os._exit(0)  # as the forks end, see `end`


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, and report the pid and later the exit code of each fork.

    Returns:
        The request, in a fork; None in the server, when it is no longer needed.
    """
    reports: dict[int, int] = {}  # file descriptor of the report of each fork, by its pid
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    while True:
        ready, _, _ = select.select([control, awake], [], [])
        if awake in ready:
            os.read(awake, 4096)
            _report_ended(reports)
        if control not in ready:
            continue
        asked, descriptors, _, _ = socket.recv_fds(control, 1, DESCRIPTORS)
        if not asked:
            return None
        if len(names := _threads()) > 1:
            raise RuntimeError(f"the fork server has threads, which a fork would lack: {names}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, for the thread that is left out above
            pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            control.close()
            for other in (awake, wake, *reports.values()):
                os.close(other)
            return _received(descriptors)
        reports[pid] = descriptors[-1]
        os.write(reports[pid], f"{pid}\n".encode())
        for descriptor in descriptors[:-1]:
            os.close(descriptor)


def _threads() -> list[str]:
    """Return the names of the threads of this process, without that of pyarrow's allocator, which expects forks."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if name != "jemalloc_bg_thd"]


def _report_ended(reports: dict[int, int]) -> None:
    """Report the exit code of each fork that has ended."""
    for pid in list(reports):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            report = reports.pop(pid)
            with suppress(BrokenPipeError):  # nobody waits for it any more
                os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(report)


def _received(descriptors: list[int]) -> dict[str, Any]:
    """Read the request and connect the standard streams, in a fork."""
    with os.fdopen(descriptors[0]) as file:
        request: dict[str, Any] = json.load(file)
    for number, descriptor in enumerate(descriptors[1:4]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.close(descriptors[-1])
    return request


def run(request: dict[str, Any]) -> None:
    """Run a program as Python does that was started with these arguments, environment and working directory.

    Args:
        request: `arguments` (`-m MODULE ...` or `-c CODE ...`), `environment`, `folder`, and `site`, the import path
            behind the entries of PYTHONPATH.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    kind, program, *words = request["arguments"]
    named = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    first = os.getcwd() if kind == "-m" else ""
    sys.path[:] = list(dict.fromkeys([first, *named, *request["site"]]))
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    _check_place()
    _start_afresh()
    sys.argv[:] = [kind, *words]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        _run_code(program)


def end(program: Callable[..., None], *given: Any) -> NoReturn:
    """Call a function, and end this process as Python does, but without freeing its memory: that takes a second."""
    code = 1
    try:
        program(*given)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code and not isinstance(ended.code, int):
            print(ended.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads; multiprocessing calls these two as well
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if code < 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code & 255)


def _check_place() -> None:
    """Refuse a program that would import another copy of the package than the one that this process has imported."""
    import zoo

    found = PathFinder.find_spec("zoo", [path or os.getcwd() for path in sys.path])
    origin = found.origin if found else None
    if origin is not None and not os.path.samefile(origin, str(zoo.__file__)):
        sys.exit(f"the fork server has imported {zoo.__file__}, this process would import {origin}")


def _start_afresh() -> None:
    """Do again what the imported modules did by the environment, or at random, of the server."""
    import numpy as np
    import torch
    from lightning_fabric.utilities.rank_zero import _get_rank
    from lightning_utilities.core.rank_zero import rank_zero_only

    random.seed()
    np.random.seed()
    torch.seed()
    rank_zero_only.rank = _get_rank() or 0


def _run_code(code: str) -> None:
    """Run the text of a program in a new module `__main__`, as `python -c` does."""
    module = type(sys)("__main__")
    module.__dict__.update(__builtins__=__builtins__, __spec__=None)
    sys.modules["__main__"] = module
    exec(compile(code, "<string>", "exec"), module.__dict__)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
