"""Processes of tests: the interface of `subprocess`, without the seconds in which Python imports torch and Lightning.

`run` and `start` take the arguments of Python. The process is a fork of a server that has imported the library, see
`tests/helpers/fork_server.py`; it has a pid, signals, an exit code, a folder, an environment and streams of its own. A
test whose point is the start itself (what is imported, and when; another copy of the package; options of Python; a
program from standard input) uses `subprocess`. So does this module on other systems than Linux, for variables that
libraries read when they are imported, and with ZOO_TESTS_FORK=0 in the environment.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO, Any

import zoo

ROOT = Path(__file__).parents[2]
LIBRARY = Path(zoo.__file__).parents[1]


def _folder_of_tests() -> Path:
    """Return a folder to import `tests` and `examples` from, without another copy of the library than the tests import.

    The folder of an installed library does not do: other packages install a `tests` there too (torch-fidelity does).
    """
    if LIBRARY == ROOT:
        return ROOT
    folder = Path(tempfile.mkdtemp(prefix="tests"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("tests", "examples"):
        (folder / name).symlink_to(ROOT / name)
    return folder


TESTS = _folder_of_tests()
PATH = os.pathsep.join(map(str, dict.fromkeys([TESTS, LIBRARY])))
"""Import path of the server: the tests and examples, and the copy of the library that they import (installed, or that
of the checkout). A process that would import another copy is refused."""
Place = int | IO[Any] | None
READ_LATE = ("PYTHONPATH", "PYTEST_CURRENT_TEST", "ZOO_CACHE", "MASTER_ADDR", "MASTER_PORT", "HOME")
READ_LATE_PREFIXES = ("RANK", "LOCAL_", "NODE_", "GROUP_", "WORLD_", "SLURM_", "ZOO_TESTS_", "KMP_")
"""Variables that are read when they are used, or that a fork reads again; others must be as they are in the server.
Those of `KMP_` are set by scikit-learn when it is imported, here as in the server."""


class Forked:
    """A process that the fork server started, with the part of `subprocess.Popen` that tests use.

    Args:
        arguments: what follows `python`: `-m MODULE ...` or `-c CODE ...`.
        folder: working directory.
        environment: its environment.
        streams: places of standard input, output and error, as for `subprocess.Popen`.
        text: whether pipes carry text.
    """

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: list[Place], text: bool
    ) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        request = {"arguments": self.args, "environment": dict(environment), "folder": str(folder), "site": _site()}
        own: list[IO[Any] | None] = []
        passed: list[int] = []
        for number, place in enumerate(streams):
            theirs, ours = _opened(place, number, passed, text)
            passed.append(theirs)
            own.append(ours)
        self.stdin, self.stdout, self.stderr = own
        report, theirs = os.pipe()
        with tempfile.TemporaryFile("w+") as file:
            json.dump(request, file)
            file.seek(0)
            socket.send_fds(_server(), [b"x"], [file.fileno(), *passed, theirs])
        for descriptor in (*passed, theirs):
            os.close(descriptor)
        self._report = os.fdopen(report)
        self.pid = int(self._line())

    def _line(self) -> str:
        """Return the next line of the report: the pid, or the exit code."""
        line = self._report.readline()
        if not line:
            raise RuntimeError("the fork server has ended; ZOO_TESTS_FORK=0 runs the tests without it")
        return line

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self.returncode = int(self._line())
            self._report.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, and return its exit code."""
        if self.returncode is None and not select.select([self._report], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read all that the process still writes, wait for its end, and return its output and errors."""
        deadline = None if timeout is None else time.monotonic() + timeout
        found: dict[Any, Any] = {}
        pipes = [pipe for pipe in (self.stdout, self.stderr) if pipe]
        readers = [Thread(target=lambda pipe=pipe: found.update({pipe: pipe.read()}), daemon=True) for pipe in pipes]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if deadline is None else max(0, deadline - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if deadline is None else max(0, deadline - time.monotonic()))
        for pipe in pipes:
            pipe.close()
        return found.get(self.stdout), found.get(self.stderr)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    arguments: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: Place = None,
    stderr: Place = None,
    text: bool = True,
) -> Any:
    """Start Python with these arguments, as `subprocess.Popen` does; standard input is empty.

    Without `cwd` it starts in `TESTS`, so that `-m` and `-c` find the copy of the library that the tests import.
    """
    cwd = TESTS if cwd is None else cwd
    environment = dict(os.environ if env is None else env)
    if not can_fork(arguments, environment):
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=text,
        )
    return Forked(arguments, cwd, environment, [subprocess.DEVNULL, stdout, stderr], text)


def run(
    arguments: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end, as `subprocess.run` does that captures output and errors as text."""
    process = start(arguments, cwd, env, subprocess.PIPE, subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run_ranks(
    arguments: Sequence[str], count: int, cwd: Path, env: Mapping[str, str], timeout: float = 300
) -> list[Any]:
    """Run Python with these arguments as the processes of one run, which Lightning then does not start itself.

    Args:
        arguments: as for `run`.
        count: number of processes.
        cwd: working directory of all.
        env: environment of all, to which each gets the variables of its rank.
        timeout: seconds in which each has to end, after the one before it.

    Returns:
        The ended processes (`subprocess.CompletedProcess`), by rank.
    """
    own = {key: value for key, value in env.items() if not key.endswith(("RANK", "WORLD_SIZE"))}
    own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [start(arguments, cwd, {**own, "LOCAL_RANK": str(rank)}, **pipes) for rank in range(count)]
    try:
        texts = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    return [subprocess.CompletedProcess(each.args, each.returncode, *said) for each, said in zip(started, texts)]


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def can_fork(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether a fork of the server is such a process, seen from outside."""
    if sys.platform != "linux" or os.environ.get("ZOO_TESTS_FORK") == "0" or arguments[:1] not in (["-m"], ["-c"]):
        return False
    servers = _environment()
    differing = {key for key in {*servers, *environment} if servers.get(key) != environment.get(key)}
    return all(key in READ_LATE or key.startswith(READ_LATE_PREFIXES) for key in differing)


def _opened(place: Place, number: int, others: Sequence[int], text: bool) -> tuple[int, IO[Any] | None]:
    """Open a standard stream.

    Args:
        place: as for `subprocess.Popen`.
        number: 0 to 2.
        others: file descriptors of the streams before it.
        text: whether a pipe carries text.

    Returns:
        The file descriptor for the process, and the other end of a pipe.
    """
    if place == subprocess.PIPE:
        ours, theirs = os.pipe()
        return theirs, os.fdopen(ours, "r" if text else "rb")
    if place == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    if place == subprocess.STDOUT:
        return os.dup(others[1]), None
    if place is None:
        return os.dup(number), None
    return os.dup(place if isinstance(place, int) else place.fileno()), None


@functools.cache
def _environment() -> dict[str, str]:
    """Return the environment of the server: that of this process when it first starts another one."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@functools.cache
def _site() -> list[str]:
    """Return the import path of a new Python without PYTHONPATH, behind its first entry."""
    code = "import json, sys; print(json.dumps(sys.path[1:]))"
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    found: list[str] = json.loads(subprocess.check_output([sys.executable, "-c", code], env=bare, text=True))
    return found


@functools.cache
def _server() -> socket.socket:
    """Start the server of this process, and return the socket for requests; it ends when this process ends."""
    control, theirs = socket.socketpair()
    environment = {**_environment(), "PYTHONPATH": PATH}
    command = [sys.executable, "-m", "tests.helpers.fork_server", str(theirs.fileno())]
    server = subprocess.Popen(
        command,
        cwd=TESTS,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def end() -> None:
        control.close()
        server.wait()

    atexit.register(end)
    return control
