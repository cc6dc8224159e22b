"""A run on two machines, for which two launchers stand on this one: `torchrun` and SLURM; one of them is killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import processes
from zoo.io.run_folder import checkpoints_in

WORDS = [
    *("recipe=dcgan_digits", "model.width=4", "trainer.accelerator=cpu", "trainer.devices=1", "trainer.num_nodes=2"),
    *("callbacks.SampleMetrics=null", "callbacks.SampleGrid=null", "callbacks.Alarms=null"),
]
STARTS = 240
"""Seconds in which all processes have started, also on a machine that is busy."""
ENDS = 60
"""Seconds in which the others end when one machine is gone: docs/recipes.md, which states it."""

pytestmark = pytest.mark.xdist_group("machines")  # of one worker, since they start processes


def start(folder: Path, name: str, words: Sequence[str], further: Mapping[str, str]) -> Any:
    """Start a process that writes to a file of this name."""
    own = {key: value for key, value in os.environ.items() if not re.match("(LOCAL_|NODE_)?RANK|WORLD_SIZE", key)}
    environment = {**own, "OMP_NUM_THREADS": "1", "PYTHONPATH": processes.PATH, **further}
    with open(folder / name, "w") as out:
        return processes.start(["-m", *words], folder, environment, stdout=out, stderr=out)


def wait_for(what: Callable[[], bool], folder: Path, *started: Any) -> None:
    """Wait until a condition holds, while the processes go on."""
    deadline = time.monotonic() + STARTS
    while not what():
        said = "\n".join(path.read_text() for path in folder.glob("*.log"))
        assert all(process.poll() is None for process in started), said
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the processes of a launcher")
def test_a_killed_machine_ends_the_run_and_one_process_goes_on(tmp_path: Path) -> None:
    """`torchrun --nnodes 2`; SIGKILL of a launcher and its process; resume=auto with one process: issue 24, point 5."""
    meeting = f"--rdzv_backend c10d --rdzv_endpoint 127.0.0.1:{processes.free_port()} --rdzv_id test".split()
    launcher = ["torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1", *meeting, "-m", "zoo.fit"]
    words = [*launcher, *WORDS, "images=100000000", "callbacks.SaveEvery.every=1280"]
    machines = [start(tmp_path, f"{name}.log", words, {}) for name in ("a", "b")]
    try:
        wait_for(lambda: any(checkpoints_in(run) for run in tmp_path.glob("runs/*/*")), tmp_path, *machines)
        first = next(i for i in (0, 1) if "run folder:" in (tmp_path / f"{'ab'[i]}.log").read_text())  # with rank 0
        left, killed = machines[first], machines[1 - first]
        for pid in (*children(killed.pid), killed.pid):
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        assert left.wait(timeout=2 * ENDS) == 1
        assert time.monotonic() - began < ENDS
    finally:
        for machine in machines:
            for pid in (*children(machine.pid), machine.pid):
                if machine.poll() is None:
                    os.kill(pid, signal.SIGKILL)
    said = (tmp_path / f"{'ab'[first]}.log").read_text()
    (folder,) = tmp_path.glob("runs/dcgan_digits/*")
    assert (
        f"zoo.fit: stopped, process 1 of 2 (counted from 0) on machine 1 of 2 ({socket.gethostname()}) is gone. Go on "
        f"from the last checkpoint: python -m zoo.fit resume={folder.relative_to(tmp_path)}\n"
    ) in said
    seen = int(checkpoints_in(folder)[0].stem)
    again = ["zoo.fit", "recipe=dcgan_digits", "resume=auto", f"images={seen + 640}", "trainer.num_nodes=1"]
    assert start(tmp_path, "c.log", again, {}).wait(timeout=STARTS) == 0, (tmp_path / "c.log").read_text()
    assert int(checkpoints_in(folder)[0].stem) == seen + 640


def test_slurm_starts_the_processes_of_a_run(tmp_path: Path) -> None:
    """`srun python -m zoo.fit` on two machines; the variables are those that srun sets."""
    common = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "gan", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1"}
    common |= {"SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": str(processes.free_port()), "MASTER_ADDR": "127.0.0.1"}
    tasks = []
    for rank in "01":
        own = {"SLURM_PROCID": rank, "SLURM_NODEID": rank, "SLURM_LOCALID": "0"}
        tasks.append(start(tmp_path, f"{rank}.log", ["zoo.fit", *WORDS, "images=1280", "out=run"], {**common, **own}))
    try:
        for task in tasks:
            assert task.wait(timeout=STARTS) == 0, "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    finally:
        for task in tasks:
            task.kill()
    assert [path.name for path in checkpoints_in(tmp_path / "run")] == ["000000001280.ckpt"]
    assert "1,280 images in" in (tmp_path / "0.log").read_text()
    assert "run folder" not in (tmp_path / "1.log").read_text()
