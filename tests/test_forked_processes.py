"""A process that the fork server of the tests starts is, seen from outside, the one that `subprocess` starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import processes

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks a process that has loaded torch safely"),
    pytest.mark.xdist_group("forked processes"),  # of one worker, which starts the server once
]
WAITS = "import signal, time; print('ready', flush=True); time.sleep(60)"
PROGRAMS = {
    "arguments, folder and path": "import os, sys; print(sys.argv, os.getcwd(), sys.path, __name__, __spec__)",
    "environment": "import os; print(os.environ['ZOO_TESTS_WORD'], os.environ.get('HOME'))",
    "empty input": "import sys; print(repr(sys.stdin.read()))",
    "exit code": "import sys; print('said'); sys.exit(7)",
    "exit code modulo 256": "import sys; sys.exit(257)",
    "exit with None": "import sys; sys.exit()",
    "exit with a text": "import sys; sys.exit('a text')",
    "error": "print('said'); 1 / 0",
    "interrupted": "import os, signal; os.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(60)",
    "terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)\nimport time; time.sleep(60)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "work at exit": "import atexit; atexit.register(print, 'last'); print('first')",
    "thread that goes on": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start(); print('main')",
    "exit within a thread": "import os; os._exit(3)",
    "signals": "import signal; print([(each.name, str(signal.getsignal(each))) for each in "
    "(signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)], signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "open files": "import os; print(sorted(os.listdir('/proc/self/fd'))[:3])",
}
MODULE = """
import sys
from neighbour import WORD
print(WORD, __name__, __spec__.name, __file__, sys.argv, sys.path[0], sys.modules["__main__"].WORD)
"""


def ended(process: Any) -> tuple[int, str, str]:
    """Exit code, output and the last line of the errors, before which a traceback has frames of the server."""
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, (errors.splitlines() or [""])[-1]


def both(arguments: list[str], folder: Path) -> list[tuple[int, str, str]]:
    """The end of a fork, and that of a process that `subprocess` started."""
    environment = {**os.environ, "ZOO_TESTS_WORD": "a word", "PYTHONPATH": f"{folder}{os.pathsep}{processes.PATH}"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    fork = processes.start(arguments, folder, environment, **pipes)
    assert isinstance(fork, processes.Forked)
    command = [sys.executable, *arguments]
    # A shell makes processes in the background ignore SIGINT, which those that they start inherit; forks never do.
    heard: dict[str, Any] = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    real = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, **heard, **pipes)
    return [ended(fork), ended(real)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_fork_ends_as_a_new_process_does(program: str, tmp_path: Path) -> None:
    fork, real = both(["-c", PROGRAMS[program], "a", "b=c d"], tmp_path)
    assert fork == real


def test_a_fork_runs_a_module_as_a_new_process_does(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("WORD = 'found'\n")
    (tmp_path / "program.py").write_text(MODULE)
    fork, real = both(["-m", "program", "a", "b=c d"], tmp_path)
    assert fork == real
    assert fork[1].startswith("found __main__ program ")


def test_it_has_imported_the_library_and_draws_numbers_of_its_own(tmp_path: Path) -> None:
    code = (
        "import sys; print({'torch', 'pytorch_lightning', 'zoo.runs.run'} <= set(sys.modules))\n"
        "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(()).item())"
    )
    said = [processes.run(["-c", code], tmp_path).stdout.split() for _ in range(2)]
    assert [words[0] for words in said] == ["True", "True"]
    assert len({*said[0][1:], *said[1][1:]}) == 6


def test_it_is_waited_for_and_takes_signals(tmp_path: Path) -> None:
    process = processes.start(["-c", WAITS], tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == "ready\n"
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.1)
    os.kill(process.pid, 0)  # a pid of this system
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == -signal.SIGINT
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    process.kill()  # does nothing any more


def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(["-c", WAITS], tmp_path, timeout=0.2)


def test_it_has_imported_the_copy_that_the_tests_import(tmp_path: Path) -> None:
    code = "import os, sys, tests; print(sys.modules['zoo'].__file__, os.path.realpath(tests.__file__))"
    imported = f"{processes.LIBRARY / 'zoo/__init__.py'} {processes.ROOT / 'tests/__init__.py'}"
    for path in (processes.PATH, str(processes.LIBRARY)):
        done = processes.run(["-c", code], tmp_path, {**os.environ, "PYTHONPATH": path})
        assert done.stdout.splitlines() == [imported], done.stderr


def test_another_copy_of_the_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo/__init__.py").touch()
    done = processes.run(["-c", "import zoo"], tmp_path)
    assert done.returncode == 1
    assert f"this process would import {tmp_path}/zoo/__init__.py" in done.stderr


def test_what_depends_on_the_start_is_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    own = dict(os.environ)
    assert processes.can_fork(["-m", "zoo.fit"], own)
    assert processes.can_fork(["-c", ""], {**own, "LOCAL_RANK": "1", "MASTER_PORT": "1", "PYTHONPATH": "x"})
    for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES", "LANG"):
        assert not processes.can_fork(["-m", "zoo.fit"], {**own, name: "7"}), name
    assert not processes.can_fork(["-m", "zoo.fit"], {key: own[key] for key in own if key != "PATH"})
    for arguments in (["-W", "error", "-c", ""], ["program.py"], []):
        assert not processes.can_fork(arguments, own)
    monkeypatch.setenv("ZOO_TESTS_FORK", "0")
    assert not processes.can_fork(["-m", "zoo.fit"], own)
