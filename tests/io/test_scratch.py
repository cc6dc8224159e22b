"""Tests of temporary files that killed processes leave: row R9, removed at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.io.files import atomic_write, cache_folder
from zoo.io.scratch import scratch_mark, sweep

HERE = scratch_mark().rpartition("-")[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from zoo.io.files import atomic_write
with atomic_write(Path(sys.argv[1])) as scratch:
    scratch.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def gone() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def made(path: Path, seconds_ago: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def test_what_a_killed_write_leaves_is_removed_by_the_next_start(tmp_path: Path) -> None:
    """Row R9: SIGKILL in a write of a checkpoint, a picture and a cache entry; the next run removes all three."""
    folder = tmp_path / "run"
    targets = [folder / "checkpoints" / "000000000064.ckpt", folder / "samples" / "000000000064.png"]
    targets.append(cache_folder() / "features" / "entry.safetensors")
    for target in targets:
        subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
        assert len(list(target.parent.glob(f".*{target.name}"))) == 1
    settings: dict[str, Any] = {"SampleMetrics": None, "SampleGrid": None, "SaveEvery": None, "Alarms": None}
    zoo.fit("dcgan_digits", out=folder, images=64, model={"width": 4}, callbacks=settings)
    for target in targets:
        assert not list(target.parent.glob(f".*{target.name}"))


def test_only_what_no_process_is_writing_is_removed(gone: int, tmp_path: Path) -> None:
    """Row R9: files of running processes, of other machines, and those of other programs stay."""
    hour, days = 3_600, 200_000
    stale = [
        made(tmp_path / f".{gone}-{HERE}.a.ckpt"),
        made(tmp_path / f".{gone}.b.ckpt"),  # of version 0.1.0
        made(tmp_path / "deep" / f".{gone}-{HERE}.c.png"),
        made(tmp_path / f".{os.getpid()}-{HERE}.d.png", hour),
        made(tmp_path / f".{os.getppid()}-00000000.e.png", days),
        made(tmp_path / f"decoding-{gone}-{HERE}-k3j2" / "images.npy").parent,
    ]
    old_decoding = made(tmp_path / "decoding-a8_bc3de" / "images.npy", days)  # of version 0.1.0
    os.utime(old_decoding.parent, (time.time() - days,) * 2)
    kept = [
        made(tmp_path / f".{os.getppid()}-{HERE}.f.ckpt", days),
        made(tmp_path / f".{os.getpid()}-{HERE}.g.ckpt"),
        made(tmp_path / f".{gone}-00000000.h.ckpt", hour),
        made(tmp_path / "decoding-a8_bc3df" / "images.npy").parent,
        made(tmp_path / "000000000064.ckpt", days),
        made(tmp_path / ".gitignore", days),
        made(tmp_path / ".12monkeys", days),
    ]
    sweep(tmp_path)
    assert [path.name for path in [*stale, old_decoding.parent] if path.exists()] == []
    assert [path.name for path in kept if not path.exists()] == []


def test_a_write_that_goes_on_is_not_disturbed(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "whole.txt") as scratch:
        scratch.write_text("whole")
        sweep(tmp_path)
    assert (tmp_path / "whole.txt").read_text() == "whole"


def test_a_folder_that_is_not_there_has_nothing_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere")
