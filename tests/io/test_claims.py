"""Tests of claims: at most one run at a time writes into a folder, and a dead process claims nothing: row R5."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo.io.claims
from zoo.errors import UserError
from zoo.io.claims import claim

HOLDER = "import sys; from pathlib import Path; from zoo.io.claims import claim\n"
HOLDS = HOLDER + "with claim(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
FORKS = HOLDER + (
    "import os, time\n"
    "with claim(Path(sys.argv[1])):\n"
    "    if not os.fork():\n"
    "        print(os.getpid(), flush=True)\n"  # the child itself, so that it has run by then
    "        time.sleep(60)\n"
    "    sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the claim of the folder."""
    process = start(HOLDS, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_second_is_refused_and_told_who_has_the_folder(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """A folder in use is refused with process, host and time: row R5."""
    with pytest.raises(UserError) as caught, claim(tmp_path):
        pass
    since = json.loads((tmp_path / "run.lock").read_text())["time"]
    assert str(caught.value) == (
        f"{tmp_path} is in use: process {holder.pid} on {socket.gethostname()}, since {since}, trains in it. Wait for "
        f"its end, stop it with Ctrl-C or SIGTERM, or choose another out=FOLDER. If no such process is left, remove "
        f"{tmp_path / 'run.lock'}"
    )
    holder.communicate()
    with claim(tmp_path):
        assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_does_not_block(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """A stale lock does not block: row R5."""
    holder.kill()
    holder.wait()
    assert (tmp_path / "run.lock").exists()
    with claim(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_keep_the_claim_of_its_dead_parent(tmp_path: Path) -> None:
    process = start(FORKS, tmp_path)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        with pytest.raises(UserError, match="is in use"), claim(tmp_path):
            pass
        process.kill()
        process.wait()
        with claim(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_one_process_cannot_claim_a_folder_twice(tmp_path: Path) -> None:
    with claim(tmp_path):
        with pytest.raises(UserError, match=f"is in use: process {os.getpid()} on "), claim(tmp_path):
            pass
        assert (tmp_path / "run.lock").exists()


def no_locks(descriptor: int, operation: int) -> None:
    raise OSError(errno.EOPNOTSUPP, "not supported")


def test_without_locks_of_the_file_system_the_process_that_the_file_names_counts(
    holder: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.io.claims.fcntl.flock", no_locks)
    with pytest.raises(UserError, match=f"is in use: process {holder.pid}"), claim(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with claim(tmp_path):
        pass
    owner = {"host": "another", "pid": 1, "time": "2026-01-01T00:00:00+00:00"}
    (tmp_path / "run.lock").write_text(json.dumps(owner))
    with pytest.raises(UserError, match="process 1 on another, since 2026-01-01"), claim(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only run folder is refused with the reason and what to do: row R8."""

    def refuse(*arguments: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(zoo.io.claims.os, "open", refuse)
    message = re.escape(
        f"cannot write in the run folder {tmp_path}: Read-only file system. Choose a folder that you may write: "
        "out=FOLDER for a new run, or resume= with a copy of the run"
    )
    with pytest.raises(UserError, match=message), claim(tmp_path):
        pass
